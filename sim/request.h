/* Requests to the API as messages of the heap, which their receiver frees. */
#ifndef HF_SIM_REQUEST_H
#define HF_SIM_REQUEST_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stdint.h>

/* A message with all fields at their defaults. */
ProtobufCMessage *sim_request_new(const ProtobufCMessageDescriptor *d);
/* A field of type string, or of a message (made when it is not there yet); the field must exist. */
void sim_request_set(ProtobufCMessage *m, const char *field, const char *value);
ProtobufCMessage *sim_request_sub(ProtobufCMessage *m, const char *field);
/* As text fields' value; "" when the message has no such field. */
const char *sim_request_text(const ProtobufCMessage *m, const char *field);

ProtobufCMessage *sim_request_get(const char *uuid, const char *name, bool stale);
ProtobufCMessage *sim_request_delete(const char *request_id, const char *uuid, uint64_t revision);
/* UpdateX of this type with a mask of one path; *ret_object is its object, to be filled in. */
ProtobufCMessage *sim_request_update(const ProtobufCMessageDescriptor *d, const char *request_id,
                                     const char *uuid, uint64_t revision, const char *path,
                                     ProtobufCMessage **ret_object);
/* CreateX of this type with a name. */
ProtobufCMessage *sim_request_create(const ProtobufCMessageDescriptor *d, const char *request_id,
                                     const char *name, ProtobufCMessage **ret_object);

#endif
