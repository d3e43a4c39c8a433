"""What the tests of the API share: three control nodes, and words for calls and refusals.

Programs that import it are called: TEST.py HOLDFASTD API_FOLDER [unittest arguments]
"""
import pathlib
import sys
import tempfile
import unittest

import grpc

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import api_client  # noqa: E402
from api_client import Cloud  # noqa: E402

Code = grpc.StatusCode
GIB = 1 << 30
CLOUD = None


def start():
    global CLOUD
    gen = tempfile.TemporaryDirectory()
    api_client.load_schema(sys.argv[2], gen.name)
    gen.cleanup()
    CLOUD = Cloud(sys.argv[1])


def stop():
    codes = CLOUD.close()
    assert all(c == 0 for c in codes), codes


def cloud():
    return CLOUD


def main():
    unittest.main(argv=sys.argv[:1] + sys.argv[3:], verbosity=2)


class ApiTest(unittest.TestCase):
    """Words for the tests below."""

    def call(self, name, /, **fields):
        return cloud().call(name, **fields)

    def fails(self, code, words, name, /, **fields):
        """The call is refused with this code and a sentence that holds these words."""
        with self.assertRaises(grpc.RpcError) as e:
            self.call(name, **fields)
        self.assertEqual(e.exception.code(), code, e.exception.details())
        for w in [words] if isinstance(words, str) else words:
            self.assertIn(w, e.exception.details())
        return e.exception

    def zone(self, name=None):
        return self.call("ZoneService/CreateZone", zone={"meta": {"name": name or self.fresh("zone")}})

    names = 0

    @classmethod
    def fresh(cls, prefix):
        ApiTest.names += 1
        return "%s-%d" % (prefix, ApiTest.names)

    def create(self, service, field, spec, name=None):
        noun = service.replace("Service", "")
        return self.call(
            "%s/Create%s" % (service, noun),
            **{field: {"meta": {"name": name or self.fresh(field)}, "spec": spec}},
        )
