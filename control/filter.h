/* Filters on lists: a subset of AIP-160 (https://google.aip.dev/160) over any message by its descriptor.
 * Pure.
 *
 *   filter      = restriction { "AND" restriction }
 *   restriction = "(" filter ")" | path operator value
 *   operator    = "=" | "!=" | "<" | "<=" | ">" | ">=" | ":"
 *   value       = word | "text with \" and \\"
 *
 * Enums are compared by name (= and != only), numbers by value, bools with true and false, text bytewise. A
 * path that crosses a repeated field holds when one element does; ":" is "has": an element equals the value,
 * or a text contains it; path:* asks whether anything is set.
 */
#ifndef HF_CONTROL_FILTER_H
#define HF_CONTROL_FILTER_H

#include <protobuf-c/protobuf-c.h>

#include "base/status.h"

#define HF_FILTER_LEN_MAX   4096
#define HF_FILTER_TERMS_MAX 32

struct hf_filter;

/* INVALID names the place and the reason. An empty text gives NULL: everything matches. */
hf_status hf_filter_parse(const ProtobufCMessageDescriptor *d, const char *text,
                          struct hf_filter **ret) HF_MUST_USE;
void hf_filter_free(struct hf_filter *f);
bool hf_filter_matches(const struct hf_filter *f, const ProtobufCMessage *m);

#endif
