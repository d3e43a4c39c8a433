#include "consensus/guard.h"

const uint8_t *hf_guard_after(const struct hf_guard_view *v, const struct hf_uuid *uuid, size_t *ret_len)
{
    for (size_t i = 0; i < v->n_changes; i++) {
        if (hf_uuid_equal(&v->changes[i].uuid, uuid)) {
            *ret_len = v->changes[i].after_len;
            return v->changes[i].after;
        }
    }
    const struct hf_object *o = hf_store_get(v->store, uuid);
    *ret_len = o == NULL ? 0 : o->bytes->len;
    return o == NULL ? NULL : o->bytes->data;
}
