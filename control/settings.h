/* Global settings: the table of their types and defaults, their values in the store, and how code reads them.
 * The leader writes the missing ones into the store.
 */
#ifndef HF_CONTROL_SETTINGS_H
#define HF_CONTROL_SETTINGS_H

#include "control/control.h"

enum hf_setting_type {
    HF_SETTING_BOOL,   /* "true", "false" */
    HF_SETTING_INT,    /* decimal, between min and max */
    HF_SETTING_SIZE,   /* bytes, with an optional K, M, G or T (powers of 1024) */
    HF_SETTING_CHOICE, /* one of the words in `choices`, parted by | */
    HF_SETTING_TEXT,   /* any text up to HF_NAME_MAX bytes */
};

struct hf_setting {
    const char *name;
    enum hf_setting_type type;
    const char *default_value;
    int64_t min, max;
    const char *choices;
    const char *description;
    bool fixed; /* written once by the control plane, not by users */
};

/* NULL when there is no such setting. */
const struct hf_setting *hf_setting_find(const char *name);

/* INVALID says what the value should be. */
hf_status hf_setting_check(const struct hf_setting *s, const char *value) HF_MUST_USE;

/* The value in the store, else the default. The name must be in the table and of that type. */
bool hf_setting_bool(const struct hf_store *s, const char *name);
int64_t hf_setting_int(const struct hf_store *s, const char *name); /* INT, and SIZE in bytes */
/* The caller frees it. */
char *hf_setting_text(const struct hf_store *s, const char *name);

/* The cluster's random id, made by its first leader; "" before that. The caller frees it. */
char *hf_cluster_id(const struct hf_store *s);

/* Control nodes' API addresses are kept as settings "control.node.<id>", so that each node knows where to
 * point. */
#define HF_SETTING_NODE_PREFIX "control.node."

/* On a new leader: writes what is missing in one transaction. Repeated by the next leader if it fails. */
void hf_settings_seed(struct hf_control *c);

/* Adds or replaces one setting object that is not in the table (control.node.…) to a transaction; value NULL
 * deletes it. */
void hf_setting_put_node(struct hf_control *c, const struct hf_store *s, struct hf_txn *t, uint64_t id,
                         const char *value);
/* Calls back with the stored API address of each control node, "10.0.0.1:7480". */
void hf_setting_each_node(const struct hf_store *s, void (*cb)(void *arg, const char *address), void *arg);
/* Writes the stored API address of a control node to buf and returns it, or NULL. */
const char *hf_setting_node(const struct hf_store *s, uint64_t id, char *buf, size_t len);

#endif
