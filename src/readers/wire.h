/* Walks protobuf messages in place: one field after the other, every length checked, nothing copied.
 *
 * Why not nanopb or protobuf-c: the reader wants no decoded message. It wants some fields, in an order of its own (a
 * body's inputs before its nodes, though they lie behind them), some of them again for every call of a function, with
 * the byte offset for error messages, and payloads left where they are. nanopb can be made to do that only with a
 * callback for every field, and then takes 1.27 ms to walk the 1,746 nodes of ONNX's light densenet121 where this takes
 * 0.20 ms (all four walks of the reader together), before any graph is made; nor does it say where a fault lies. */
#ifndef NNM_READERS_WIRE_H
#define NNM_READERS_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* Sets of wire types, for schemas. */
enum {
  NNM_WIRE_VARINT = 1 << 0,
  NNM_WIRE_FIXED64 = 1 << 1,
  NNM_WIRE_BYTES = 1 << 2, /* length-delimited: text, message, packed numbers */
  NNM_WIRE_FIXED32 = 1 << 5
};

/* Which fields of a message the caller wants, by field number; all others are stepped over. */
typedef struct nnm_wire_schema {
  const char *what;       /* "node": for messages */
  const uint8_t *accepts; /* by field number: set of allowed wire types; 0: not wanted */
  uint32_t count;         /* entries of accepts */
} nnm_wire_schema;

/* For files of schemas: what a field may be, and a schema. Repeated numbers may be packed, whatever the format's .proto says
 * of it. NNM_WIRE_SCHEMA(nnm_onnx_shape, "shape", [SHAPE_DIM] = NNM_WIRE_BYTES); */
enum {
  WIRE_NUMBER = NNM_WIRE_VARINT,
  WIRE_NUMBERS = NNM_WIRE_VARINT | NNM_WIRE_BYTES,
  WIRE_FLOAT = NNM_WIRE_FIXED32,
  WIRE_FLOATS = NNM_WIRE_FIXED32 | NNM_WIRE_BYTES,
  WIRE_DOUBLES = NNM_WIRE_FIXED64 | NNM_WIRE_BYTES
};
#define NNM_WIRE_SCHEMA(name, what, ...)                \
  static const uint8_t name##_fields[] = {__VA_ARGS__}; \
  const nnm_wire_schema name = {what, name##_fields, sizeof name##_fields}

/* What all messages of one file share. */
typedef struct nnm_wire_file {
  const unsigned char *data; /* start of the file: offsets in messages count from here */
  nnm_error *error;
  /* Steps that may still be taken. Reading a file once is paid for by its size; the budget only ends for files that
   * make the reader go over the same bytes again and again (functions calling functions). */
  uint64_t budget;
} nnm_wire_file;

typedef struct nnm_wire_message {
  nnm_wire_file *file;
  const nnm_wire_schema *schema;
  const unsigned char *at, *end;
  nnm_status status; /* set when nnm_wire_next gave up */
} nnm_wire_message;

typedef struct nnm_wire_field {
  uint32_t number;
  uint8_t type;               /* one of NNM_WIRE_... */
  uint64_t value;             /* VARINT, FIXED64, FIXED32 */
  const unsigned char *bytes; /* BYTES: the payload, in place; else where the field starts */
  size_t size;                /* bytes of the payload, else 0 */
} nnm_wire_field;

nnm_wire_message nnm_wire_open(nnm_wire_file *file, const nnm_wire_schema *schema, const unsigned char *bytes,
                               size_t size);

/* The next wanted field. false at the end (message->status is NNM_OK) or on a fault (message->status and the file's
 * error are set), so: while (nnm_wire_next(&message, &field)) switch (field.number) {...}; return message.status; */
bool nnm_wire_next(nnm_wire_message *message, nnm_wire_field *field);

/* Numbers of a repeated field, which may be packed into one BYTES field or stand alone. Gives the next number of such a
 * field; false when it has no more. Start with at = 0; *damaged is set when the payload is not a row of numbers. */
bool nnm_wire_number(const nnm_wire_field *field, uint8_t element_type, size_t *at, uint64_t *number, bool *damaged);

/* Takes steps from the budget; fails when it is used up. */
nnm_status nnm_wire_spend(nnm_wire_file *file, uint64_t steps);

/* Fails with place "byte N". at points into the file. */
nnm_status nnm_wire_fail(nnm_wire_file *file, nnm_status status, const unsigned char *at, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Texts of the file: a name must be UTF-8 without NUL and not too long. nnm_wire_character gives the length of the
 * character at text, 0 when it is none or NUL. */
nnm_status nnm_wire_check_name(nnm_wire_file *file, const nnm_wire_field *field);
bool nnm_wire_is_text(const nnm_wire_field *field, const char *text); /* whether the payload is this text */
bool nnm_wire_is_utf8(const unsigned char *text, size_t size);
size_t nnm_wire_character(const unsigned char *text, size_t left);

#endif
