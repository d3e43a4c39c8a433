"""docs/timing.md shows what hf-ha-table prints. Arguments: hf-ha-table, timing.md. With --write the page is set right."""
import re
import subprocess
import sys

table, page = sys.argv[1:3]
text = wrong = open(page).read()
for profile in re.findall(r"^### (\w+)$", text, re.M):
    out = subprocess.run([table, profile], check=True, capture_output=True, text=True).stdout
    body = out.split("\n", 1)[1].rstrip("\n")
    text = re.sub(rf"(### {profile}\n\n```\n).*?(\n```)", lambda m: m[1] + body + m[2], text, flags=re.S)
if "--write" in sys.argv:
    open(page, "w").write(text)
elif text != wrong:
    sys.exit(f"{page} does not show what {table} prints; run this with --write")
