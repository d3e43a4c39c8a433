/* What the files of the CLI share: global options, the table of nouns and verbs, and the call to the control plane.
 *
 * The grammar is one table (nouns.c): parsing, help, shell completion and requests are read from it, so that a new verb is a
 * row. Requests are built as JSON by field path and turned into messages by their descriptors.
 */
#ifndef HF_CLI_CLI_H
#define HF_CLI_CLI_H

#include <jansson.h>
#include <libintl.h>
#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>

#include "base/status.h"

#define _(text) gettext(text)
#define N_(text) text

enum cli_exit {
    CLI_OK = 0,
    CLI_FAILED = 1,      /* the control plane refused, or the operation failed */
    CLI_USAGE = 2,
    CLI_NOT_FOUND = 3,
    CLI_UNAVAILABLE = 4, /* no control node answered in time */
    CLI_UNKNOWN = 5,     /* it may have happened: look before repeating */
};

enum cli_format { CLI_TABLE, CLI_JSON, CLI_YAML };

struct cli_options {
    const char *control; /* comma-separated addresses */
    const char *tls_ca, *tls_cert, *tls_key;
    enum cli_format format;
    bool no_wait;
    bool no_headers;
    unsigned timeout_s;  /* for a call, or for the operation that it starts */
};
extern struct cli_options cli_options;

enum cli_flag_type {
    CLI_STRING,
    CLI_INT,
    CLI_SIZE,   /* bytes, with K, M, G or T */
    CLI_BOOL,   /* takes no value */
    CLI_NO,     /* takes no value and sets false */
    CLI_CHOICE, /* choices: "word=PROTO_NAME word=…" */
    CLI_REF,    /* name or UUID of another object */
    CLI_RANGE,  /* FIRST-LAST, to path.start_ip and path.end_ip */
    CLI_PAIR,   /* NAME=VALUE, or NAME=@FILE for what the file's first line says; to path.name and path.value */
    CLI_SECRET, /* VALUE, or @FILE for what the file's first line says */
    CLI_FILE,   /* a file of this machine; its length in bytes goes to the path */
};

struct cli_noun;

struct cli_flag {
    const char *name;       /* without the dashes */
    enum cli_flag_type type;
    const char *path;       /* field path below the object (create, update) or the request; ends in "[]" when repeatable */
    const char *value;      /* what help calls the value */
    const char *help;
    const char *ref;        /* CLI_REF: noun */
    const char *choices;    /* CLI_CHOICE */
    bool required;
};

enum cli_shape {
    CLI_CREATE,  /* NAME; answers with the object or an operation; run, if set, makes it */
    CLI_GET,
    CLI_LIST,
    CLI_UPDATE,
    CLI_DELETE,
    CLI_ACT,     /* a verb on an object: answers with the object or an operation */
    CLI_SHOW,    /* a call without subject whose answer holds a list or one object; run, if set, makes it */
    CLI_RUN,     /* code of its own */
};

struct cli_args;

struct cli_verb {
    const char *name;
    enum cli_shape shape;
    const char *method;
    const struct cli_flag *flags;   /* ends with a row without a name */
    const char *subject_ref;        /* CLI_RUN: noun of the subject, if it is another one than this */
    const char *subject_path;       /* CLI_ACT: request field of the subject's UUID; default "uuid" */
    const char *second_ref;         /* CLI_ACT: noun of a second argument, and */
    const char *second_path;        /* its request field; with second_ref NULL: plain text */
    const char *second_label;
    const char *second_list;        /* plain text: list in the subject whose items' names it may be, as a lowerCamelCase path */
    bool second_file;         /* plain text: it names a file of this machine */
    const struct cli_column *columns; /* CLI_SHOW: of the answer's rows; default the noun's */
    enum cli_exit (*run)(const struct cli_noun *noun, const struct cli_verb *verb, struct cli_args *args);
    const char *help;
};

struct cli_column {
    const char *title;
    const char *path;   /* lowerCamelCase JSON path */
    const char *ref;    /* the value is a UUID (or a list of them) of this noun: show names */
    const char *format; /* "size", "time", "since", the choices of an enum ("Word=PROTO_NAME …"), or NULL */
};

struct cli_noun {
    const char *name, *plural;
    const char *aliases;  /* blank-separated */
    const char *help;
    const ProtobufCServiceDescriptor *service;
    const struct cli_verb *verbs;     /* ends with a row without a name */
    const struct cli_column *columns; /* of lists; ends with a row without a title */
};

/* Restart priorities, as a flag and in columns. */
#define CLI_PRIORITY_CHOICES "lowest=LOWEST low=LOW medium=MEDIUM high=HIGH highest=HIGHEST"

extern const struct cli_noun cli_nouns[];
const struct cli_noun *cli_noun_find(const char *name);
const struct cli_verb *cli_verb_find(const struct cli_noun *noun, const char *name);
/* The verb that these words begin with, one word or two ("maintenance enter"), and how many they are; NULL: none. Ends at NULL. */
const struct cli_verb *cli_verb_of(const struct cli_noun *noun, char *const *words, size_t *ret_used);

/* --- args.c: one parsed command line --- */
#define CLI_ARGS_MAX 64
struct cli_given {
    const struct cli_flag *flag;
    const char *value;
};
struct cli_args {
    const char *subject, *second;
    struct cli_given given[CLI_ARGS_MAX];
    size_t n_given;
};
/* Reads what follows "noun verb"; false: a sentence was printed. */
bool cli_args_parse(const struct cli_noun *noun, const struct cli_verb *verb, char **argv, struct cli_args *ret);
const char *cli_args_get(const struct cli_args *args, const char *flag);

/* --- call.c: the control plane --- */
/* One call to the leader; *ret is the answer as JSON (the caller's). request may be NULL: empty. Takes request. */
hf_status cli_call(const ProtobufCServiceDescriptor *service, const char *method, json_t *request, unsigned deadline_ms,
                   json_t **ret) HF_MUST_USE;
/* The same with a field mask for "update_mask": n snake_case paths. */
hf_status cli_call_masked(const ProtobufCServiceDescriptor *service, const char *method, json_t *request,
                          const char *const *mask, size_t n_mask, unsigned deadline_ms, json_t **ret) HF_MUST_USE;
/* A server stream from the leader: calls back with each message until it says false or the stream ends. */
hf_status cli_stream(const ProtobufCServiceDescriptor *service, const char *method, json_t *request, unsigned deadline_ms,
                     bool (*on_message)(void *arg, const ProtobufCMessage *message), void *arg) HF_MUST_USE;
/* One call to the node at this address, whether it leads or not. *ret is the answer (the caller's). */
hf_status cli_call_node(const char *address, const ProtobufCServiceDescriptor *service, const char *method,
                        const ProtobufCMessage *request, unsigned deadline_ms, ProtobufCMessage **ret) HF_MUST_USE;
void cli_call_done(void);

/* A fresh request id, so that a repeated call is answered once. */
json_t *cli_request_id(void);

/* UUID of an object given by name or UUID. */
hf_status cli_resolve(const char *noun, const char *name_or_uuid, char ret[33]) HF_MUST_USE;
/* Name of an object by its UUID, or the UUID itself; cached. Valid until cli_names_done(). */
const char *cli_name_of(const char *noun, const char *uuid);
void cli_names_done(void);

/* --- request.c --- */
/* Sets a snake_case path ("spec.ip_ranges[0].gateway", "spec.dns[]") in a JSON object, in lowerCamelCase; takes value. */
void cli_json_set(json_t *root, const char *path, json_t *value);
/* The value at a lowerCamelCase path, or NULL. Borrowed. */
json_t *cli_json_at(const json_t *root, const char *path);
/* Puts every given flag below root. mask (may be NULL) collects the top-level paths that were set. */
hf_status cli_request_fill(const struct cli_args *args, json_t *root, const char **mask, size_t *n_mask) HF_MUST_USE;
hf_status cli_size_parse(const char *text, long long *ret) HF_MUST_USE;

/* --- output.c --- */
void cli_print_rows(const struct cli_column *columns, json_t *rows); /* table, or the rows as JSON or YAML */
void cli_print_object(json_t *object);
void cli_note(const char *fmt, ...) HF_PRINTF(1, 2);                  /* a line for people: table format only, to stdout */
enum cli_exit cli_fail(hf_status st);                                 /* prints and takes st; gives the exit code */

/* --- wait.c --- */
/* Follows an operation to its end with progress on stderr. *ret: its last state (JSON, the caller's). */
hf_status cli_wait(const char *operation_uuid, json_t **ret) HF_MUST_USE;

/* --- the rest --- */
enum cli_exit cli_run_verb(const struct cli_noun *noun, const struct cli_verb *verb, struct cli_args *args);
enum cli_exit cli_watch(const struct cli_noun *noun, const struct cli_verb *verb, struct cli_args *args);
enum cli_exit cli_control_status(const struct cli_noun *noun, const struct cli_verb *verb, struct cli_args *args);
enum cli_exit cli_setting_set(const struct cli_noun *noun, const struct cli_verb *verb, struct cli_args *args);
enum cli_exit cli_ha_plan(const struct cli_noun *noun, const struct cli_verb *verb, struct cli_args *args);
enum cli_exit cli_ha_drill(const struct cli_noun *noun, const struct cli_verb *verb, struct cli_args *args);
enum cli_exit cli_operation_wait(const struct cli_noun *noun, const struct cli_verb *verb, struct cli_args *args);
enum cli_exit cli_host_power(const struct cli_noun *noun, const struct cli_verb *verb, struct cli_args *args);
/* Asks for the subject, and for the list at this path of it; *ret_list is the caller's, empty when there is none. */
hf_status cli_get_list(const struct cli_noun *noun, const struct cli_verb *verb, const char *subject, const char *path,
                       json_t **ret_list) HF_MUST_USE;
enum cli_exit cli_volume_snapshots(const struct cli_noun *noun, const struct cli_verb *verb, struct cli_args *args);
enum cli_exit cli_host_power_devices(const struct cli_noun *noun, const struct cli_verb *verb, struct cli_args *args);
/* The parts of CLI_CREATE, for nouns that add to it: the object of a request, and the request with it (which is taken) to the end. */
hf_status cli_create_object(const struct cli_args *args, json_t **ret) HF_MUST_USE;
enum cli_exit cli_create(const struct cli_noun *noun, const struct cli_verb *verb, struct cli_args *args);
/* Follows an operation (taken) to its end and prints what came of it. */
enum cli_exit cli_finish_operation(const struct cli_noun *noun, const struct cli_verb *verb, const char *subject, json_t *take_op);
enum cli_exit cli_image_create(const struct cli_noun *noun, const struct cli_verb *verb, struct cli_args *args);
enum cli_exit cli_image_upload(const struct cli_noun *noun, const struct cli_verb *verb, struct cli_args *args);
enum cli_exit cli_complete(int argc, char **argv);
enum cli_exit cli_completion_script(const char *shell);
void cli_help_top(void);
void cli_help_noun(const struct cli_noun *noun);
void cli_help_verb(const struct cli_noun *noun, const struct cli_verb *verb);

#endif
