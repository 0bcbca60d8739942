/* What each operation of a pickle does; the table is at the end. */
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "predictors/pickle_machine.h"

static nnm_status cut_short(nnm_pickle *pickle) { return nnm_pickle_fail_damaged(pickle, "the pickle ends too early"); }

/* ---------------------------------------------------------------- numbers and constants */

static nnm_status push_constant(nnm_pickle *pickle, uint32_t kind) {
  return nnm_pickle_push_value(pickle, (nnm_pickle_value){.kind = (uint8_t)kind});
}

static nnm_status push_bool(nnm_pickle *pickle, uint32_t truth) {
  return nnm_pickle_push_value(pickle, (nnm_pickle_value){.kind = NNM_PICKLE_BOOL, .count = truth});
}

static nnm_status push_integer(nnm_pickle *pickle, int64_t integer) {
  if (pickle->cursor.failed) return cut_short(pickle);
  return nnm_pickle_push_value(pickle, (nnm_pickle_value){.kind = NNM_PICKLE_INTEGER, .as.integer = integer});
}

static nnm_status read_int1(nnm_pickle *pickle, uint32_t unused) {
  (void)unused;
  return push_integer(pickle, nnm_cursor_u8(&pickle->cursor));
}

static nnm_status read_int2(nnm_pickle *pickle, uint32_t unused) {
  (void)unused;
  return push_integer(pickle, nnm_cursor_u16(&pickle->cursor));
}

static nnm_status read_int4(nnm_pickle *pickle, uint32_t unused) {
  (void)unused;
  return push_integer(pickle, nnm_cursor_i32(&pickle->cursor));
}

static nnm_status read_float(nnm_pickle *pickle, uint32_t unused) {
  (void)unused;
  if (!nnm_cursor_take(&pickle->cursor, 8)) return cut_short(pickle);
  return push_constant(pickle, NNM_PICKLE_FLOAT);
}

/* A length of width 1, 4 or 8 bytes; what lies behind is checked by taking it. */
static uint64_t read_length(nnm_pickle *pickle, uint32_t width) {
  if (width == 1) return nnm_cursor_u8(&pickle->cursor);
  return width == 4 ? nnm_cursor_u32(&pickle->cursor) : nnm_cursor_u64(&pickle->cursor);
}

static nnm_status take_counted(nnm_pickle *pickle, uint32_t width, const unsigned char **data, size_t *size) {
  uint64_t length = read_length(pickle, width);
  if (!pickle->cursor.failed && length > nnm_cursor_left(&pickle->cursor))
    return nnm_pickle_fail_damaged(pickle, "claims more bytes than the file has");
  *size = (size_t)length;
  *data = nnm_cursor_take(&pickle->cursor, *size);
  return pickle->cursor.failed ? cut_short(pickle) : NNM_OK;
}

/* Two's complement of any length. */
static nnm_status read_long(nnm_pickle *pickle, uint32_t width) {
  const unsigned char *data;
  size_t size;
  NNM_TRY(take_counted(pickle, width, &data, &size));
  if (size > 8) return push_constant(pickle, NNM_PICKLE_BIG_INTEGER);
  uint64_t bits = size && data[size - 1] & 0x80 ? UINT64_MAX : 0;
  if (size) memcpy(&bits, data, size);
  int64_t integer;
  memcpy(&integer, &bits, sizeof integer);
  return push_integer(pickle, integer);
}

static nnm_status take_line(nnm_pickle *pickle, const unsigned char **line, size_t *length) {
  const unsigned char *start = pickle->cursor.at;
  size_t left = nnm_cursor_left(&pickle->cursor);
  const unsigned char *end = left ? memchr(start, '\n', left) : NULL;
  if (!end) return cut_short(pickle);
  *line = start;
  *length = (size_t)(end - start);
  nnm_cursor_take(&pickle->cursor, *length + 1);
  return NNM_OK;
}

/* false: not a decimal number of 64 bits. */
static bool parse_decimal(const unsigned char *text, size_t length, int64_t *out) {
  bool negative = length && text[0] == '-';
  int64_t value = 0;
  for (size_t i = negative; i < length; i++) {
    if (text[i] < '0' || text[i] > '9') return false;
    int64_t digit = text[i] - '0';
    if (__builtin_mul_overflow(value, 10, &value)) return false;
    if (__builtin_add_overflow(value, negative ? -digit : digit, &value)) return false;
  }
  *out = value;
  return length > (size_t)negative;
}

/* Protocol 0: "12", "12L", and "00" and "01" for false and true. */
static nnm_status read_decimal(nnm_pickle *pickle, uint32_t unused) {
  (void)unused;
  const unsigned char *line;
  size_t length;
  NNM_TRY(take_line(pickle, &line, &length));
  if (length == 2 && line[0] == '0' && (line[1] == '0' || line[1] == '1')) return push_bool(pickle, line[1] == '1');
  if (length && line[length - 1] == 'L') length--;
  int64_t integer;
  if (parse_decimal(line, length, &integer)) return push_integer(pickle, integer);
  for (size_t i = 0; i < length; i++)
    if ((line[i] < '0' || line[i] > '9') && line[i] != '-')
      return nnm_pickle_fail_damaged(pickle, "an integer is no number");
  return push_constant(pickle, NNM_PICKLE_BIG_INTEGER);
}

static nnm_status read_float_line(nnm_pickle *pickle, uint32_t unused) {
  (void)unused;
  const unsigned char *line;
  size_t length;
  NNM_TRY(take_line(pickle, &line, &length));
  return push_constant(pickle, NNM_PICKLE_FLOAT);
}

/* ---------------------------------------------------------------- texts and bytes */

static nnm_status push_bytes(nnm_pickle *pickle, nnm_pickle_kind kind, const unsigned char *data, size_t size) {
  return nnm_pickle_push_value(pickle, (nnm_pickle_value){.kind = kind, .as.bytes = {data, size}});
}

static nnm_status read_text(nnm_pickle *pickle, uint32_t width) {
  const unsigned char *data;
  size_t size;
  NNM_TRY(take_counted(pickle, width, &data, &size));
  return push_bytes(pickle, NNM_PICKLE_TEXT, data, size);
}

static nnm_status read_bytes(nnm_pickle *pickle, uint32_t width) {
  const unsigned char *data;
  size_t size;
  NNM_TRY(take_counted(pickle, width, &data, &size));
  return push_bytes(pickle, NNM_PICKLE_BYTES, data, size);
}

static size_t put_utf8(unsigned char *to, uint32_t code) {
  if (code < 0x80) return to[0] = (unsigned char)code, 1;
  if (code < 0x800) {
    to[0] = (unsigned char)(0xc0 | code >> 6);
    to[1] = (unsigned char)(0x80 | (code & 0x3f));
    return 2;
  }
  to[0] = (unsigned char)(0xe0 | code >> 12);
  to[1] = (unsigned char)(0x80 | (code >> 6 & 0x3f));
  to[2] = (unsigned char)(0x80 | (code & 0x3f));
  return 3;
}

/* Four hexadecimal digits; false when they are none. */
static bool parse_hex(const unsigned char *digits, uint32_t *out) {
  uint32_t code = 0;
  for (int i = 0; i < 4; i++) {
    static const char hexadecimal[] = "0123456789abcdef";
    const char *digit = digits[i] ? strchr(hexadecimal, digits[i] | 0x20) : NULL;
    if (!digit) return false;
    code = code << 4 | (uint32_t)(digit - hexadecimal);
  }
  *out = code;
  return true;
}

/* Protocol 0 writes text as Latin-1 with \uXXXX for the rest. */
static nnm_status read_text_line(nnm_pickle *pickle, uint32_t unused) {
  (void)unused;
  const unsigned char *line;
  size_t length, size = 0;
  NNM_TRY(take_line(pickle, &line, &length));
  unsigned char *text = nnm_arena_alloc(&pickle->arena, length, 2);
  if (!text) return nnm_fail_memory(pickle->error);
  for (size_t i = 0; i < length; i++) {
    uint32_t code = line[i];
    if (code == '\\' && length - i >= 6 && line[i + 1] == 'u' && parse_hex(line + i + 2, &code)) i += 5;
    size += put_utf8(text + size, code);
  }
  return push_bytes(pickle, NNM_PICKLE_TEXT, text, size);
}

/* ---------------------------------------------------------------- memo */

static nnm_status memo_put(nnm_pickle *pickle, uint64_t index) {
  /* a pickler numbers its memo from 0 on and spends at least a byte on each */
  if (index >= (size_t)(pickle->cursor.end - pickle->cursor.start))
    return nnm_pickle_fail_limit(pickle, "a memo number is too high");
  nnm_pickle_id id;
  NNM_TRY(nnm_pickle_pop(pickle, &id));
  pickle->stack.count++;
  while (pickle->memo.count <= index) NNM_TRY(nnm_pickle_numbers_add(pickle, &pickle->memo, NNM_PICKLE_NOTHING));
  pickle->memo_used += pickle->memo.at[index] == NNM_PICKLE_NOTHING;
  pickle->memo.at[index] = id;
  return NNM_OK;
}

static nnm_status memo_get(nnm_pickle *pickle, uint64_t index) {
  if (index >= pickle->memo.count || pickle->memo.at[index] == NNM_PICKLE_NOTHING)
    return nnm_pickle_fail_damaged(pickle, "asks the memo for something that was never put there");
  return nnm_pickle_push(pickle, pickle->memo.at[index]);
}

static nnm_status memoize(nnm_pickle *pickle, uint32_t unused) {
  (void)unused;
  return memo_put(pickle, pickle->memo_used);
}

static nnm_status put_counted(nnm_pickle *pickle, uint32_t width) {
  uint64_t index = read_length(pickle, width);
  return pickle->cursor.failed ? cut_short(pickle) : memo_put(pickle, index);
}

static nnm_status get_counted(nnm_pickle *pickle, uint32_t width) {
  uint64_t index = read_length(pickle, width);
  return pickle->cursor.failed ? cut_short(pickle) : memo_get(pickle, index);
}

static nnm_status read_index_line(nnm_pickle *pickle, uint64_t *index) {
  const unsigned char *line;
  size_t length;
  int64_t number;
  NNM_TRY(take_line(pickle, &line, &length));
  if (!parse_decimal(line, length, &number) || number < 0)
    return nnm_pickle_fail_damaged(pickle, "a memo number is no number");
  *index = (uint64_t)number;
  return NNM_OK;
}

static nnm_status put_line(nnm_pickle *pickle, uint32_t unused) {
  (void)unused;
  uint64_t index = 0;
  NNM_TRY(read_index_line(pickle, &index));
  return memo_put(pickle, index);
}

static nnm_status get_line(nnm_pickle *pickle, uint32_t unused) {
  (void)unused;
  uint64_t index = 0;
  NNM_TRY(read_index_line(pickle, &index));
  return memo_get(pickle, index);
}

/* ---------------------------------------------------------------- functions, classes and calls */

typedef struct known_global {
  nnm_pickle_global global;
  const char *module, *name;
} known_global;

static const known_global known_globals[] = {
#define NNM_GLOBAL(id, module, name) {NNM_PICKLE_##id, module, name},
#include "predictors/pickle_globals.inc"
#undef NNM_GLOBAL
};

typedef struct span {
  const unsigned char *at;
  size_t size;
} span;

static bool nnm_span_is(span bytes, const char *text) {
  return bytes.size == strlen(text) && !memcmp(bytes.at, text, bytes.size);
}

/* For messages: the printable ASCII of a name from the file, the rest as '?'. */
static void copy_printable(span name, char *to, size_t size) {
  size_t length = name.size < size - 1 ? name.size : size - 1;
  for (size_t i = 0; i < length; i++) to[i] = name.at[i] > 0x20 && name.at[i] < 0x7f ? (char)name.at[i] : '?';
  to[length] = '\0';
}

static nnm_status refuse_global(nnm_pickle *pickle, span module, span name) {
  static const struct {
    const char *beginning, *remedy;
  } remedies[] = {
      {"sklearn.", "of scikit-learn only RandomForestRegressor can be imported"},
      {"joblib.", "joblib wrote this file: load it with joblib and save it with pickle.dump"},
      {"", "that is no part of a scikit-learn forest; refused, and nothing was run"},
  };
  char modules[100], names[100], place[32];
  copy_printable(module, modules, sizeof modules);
  copy_printable(name, names, sizeof names);
  size_t i = 0;
  while (strncmp(modules, remedies[i].beginning, strlen(remedies[i].beginning))) i++;
  snprintf(place, sizeof place, "byte %zu", pickle->at);
  return nnm_fail(pickle->error, NNM_ERROR_UNSUPPORTED, place, "asks to run %s.%s; %s", modules, names,
                  remedies[i].remedy);
}

static nnm_status push_global(nnm_pickle *pickle, span module, span name) {
  for (size_t i = 0; i < sizeof known_globals / sizeof known_globals[0]; i++)
    if (nnm_span_is(module, known_globals[i].module) && nnm_span_is(name, known_globals[i].name))
      return nnm_pickle_push_value(
          pickle, (nnm_pickle_value){.kind = NNM_PICKLE_GLOBAL, .global = (uint8_t)known_globals[i].global});
  return refuse_global(pickle, module, name);
}

static nnm_status read_global(nnm_pickle *pickle, uint32_t unused) {
  (void)unused;
  span module, name;
  NNM_TRY(take_line(pickle, &module.at, &module.size));
  NNM_TRY(take_line(pickle, &name.at, &name.size));
  return push_global(pickle, module, name);
}

static nnm_status take_global(nnm_pickle *pickle, uint32_t unused) {
  (void)unused;
  nnm_pickle_id name, module;
  NNM_TRY(nnm_pickle_pop_kind(pickle, NNM_PICKLE_TEXT, &name));
  NNM_TRY(nnm_pickle_pop_kind(pickle, NNM_PICKLE_TEXT, &module));
  const nnm_pickle_value *values = pickle->values;
  return push_global(pickle, (span){values[module].as.bytes.data, values[module].as.bytes.size},
                     (span){values[name].as.bytes.data, values[name].as.bytes.size});
}

static nnm_status make_call(nnm_pickle *pickle, uint32_t has_keywords) {
  nnm_pickle_id function, arguments, keywords;
  if (has_keywords) NNM_TRY(nnm_pickle_pop_kind(pickle, NNM_PICKLE_DICT, &keywords));
  NNM_TRY(nnm_pickle_pop_kind(pickle, NNM_PICKLE_TUPLE, &arguments));
  NNM_TRY(nnm_pickle_pop_kind(pickle, NNM_PICKLE_GLOBAL, &function));
  return nnm_pickle_push_value(
      pickle, (nnm_pickle_value){.kind = NNM_PICKLE_OBJECT, .as.object = {function, arguments, NNM_PICKLE_NOTHING}});
}

static nnm_status set_state(nnm_pickle *pickle, uint32_t unused) {
  (void)unused;
  nnm_pickle_id state, object;
  NNM_TRY(nnm_pickle_pop(pickle, &state));
  NNM_TRY(nnm_pickle_top_of_kind(pickle, NNM_PICKLE_OBJECT, &object));
  nnm_pickle_value *value = &pickle->values[object];
  if (value->as.object.state != NNM_PICKLE_NOTHING)
    return nnm_pickle_fail_damaged(pickle, "sets the state of an object twice");
  value->as.object.state = state;
  return NNM_OK;
}

/* ---------------------------------------------------------------- the rest */

static nnm_status set_mark(nnm_pickle *pickle, uint32_t unused) {
  (void)unused;
  if (pickle->marks.count >= NNM_LIMIT_PICKLE_STACK) return nnm_pickle_fail_limit(pickle, "the stack grows too high");
  return nnm_pickle_numbers_add(pickle, &pickle->marks, (uint32_t)pickle->stack.count);
}

static nnm_status drop(nnm_pickle *pickle, uint32_t unused) {
  (void)unused;
  nnm_pickle_id id;
  if (nnm_pickle_reachable(pickle) || !pickle->marks.count) return nnm_pickle_pop(pickle, &id);
  pickle->marks.count--;
  return NNM_OK;
}

static nnm_status drop_to_mark(nnm_pickle *pickle, uint32_t unused) {
  (void)unused;
  size_t first, count;
  return nnm_pickle_pop_to_mark(pickle, &first, &count);
}

static nnm_status duplicate(nnm_pickle *pickle, uint32_t unused) {
  (void)unused;
  nnm_pickle_id id;
  NNM_TRY(nnm_pickle_pop(pickle, &id));
  NNM_TRY(nnm_pickle_push(pickle, id));
  return nnm_pickle_push(pickle, id);
}

static nnm_status read_protocol(nnm_pickle *pickle, uint32_t unused) {
  (void)unused;
  if (nnm_cursor_u8(&pickle->cursor) <= 5) return pickle->cursor.failed ? cut_short(pickle) : NNM_OK;
  return nnm_pickle_fail_at(pickle, NNM_ERROR_UNSUPPORTED, "a pickle protocol above 5", "save it with protocol 4");
}

static nnm_status read_frame(nnm_pickle *pickle, uint32_t unused) {
  (void)unused;
  uint64_t size = nnm_cursor_u64(&pickle->cursor);
  if (pickle->cursor.failed || size > nnm_cursor_left(&pickle->cursor)) return cut_short(pickle);
  return NNM_OK;
}

static nnm_status stop(nnm_pickle *pickle, uint32_t unused) {
  (void)unused;
  NNM_TRY(nnm_pickle_pop(pickle, &pickle->root));
  if (pickle->stack.count || pickle->marks.count) return nnm_pickle_fail_damaged(pickle, "leaves values behind");
  pickle->stopped = true;
  return NNM_OK;
}

static nnm_status refuse_reference(nnm_pickle *pickle, uint32_t unused) {
  (void)unused;
  return nnm_pickle_fail_at(pickle, NNM_ERROR_UNSUPPORTED, "refers to something outside of the pickle",
                            "a forest saved with pickle.dump does not; refused");
}

static nnm_status refuse_python_2(nnm_pickle *pickle, uint32_t unused) {
  (void)unused;
  return nnm_pickle_fail_at(pickle, NNM_ERROR_UNSUPPORTED, "uses an operation that only Python 2 writes",
                            "save the forest again with Python 3");
}

/* INST names a class in two lines: whoever names something to run is refused by that name. */
static nnm_status read_instance(nnm_pickle *pickle, uint32_t unused) {
  NNM_TRY(read_global(pickle, unused));
  return refuse_python_2(pickle, unused);
}

/* The codes of Python's pickletools; missing ones are no pickle. */
const nnm_pickle_operation nnm_pickle_operations[256] = {
    ['.'] = {stop},
    ['('] = {set_mark},
    ['0'] = {drop},
    ['1'] = {drop_to_mark},
    ['2'] = {duplicate},
    [0x80] = {read_protocol},
    [0x95] = {read_frame},
    ['N'] = {push_constant, NNM_PICKLE_NONE},
    [0x88] = {push_bool, 1},
    [0x89] = {push_bool, 0},
    ['K'] = {read_int1},
    ['M'] = {read_int2},
    ['J'] = {read_int4},
    [0x8a] = {read_long, 1},
    [0x8b] = {read_long, 4},
    ['I'] = {read_decimal},
    ['L'] = {read_decimal},
    ['G'] = {read_float},
    ['F'] = {read_float_line},
    [0x8c] = {read_text, 1},
    ['X'] = {read_text, 4},
    [0x8d] = {read_text, 8},
    ['V'] = {read_text_line},
    ['C'] = {read_bytes, 1},
    ['B'] = {read_bytes, 4},
    [0x8e] = {read_bytes, 8},
    [0x96] = {read_bytes, 8}, /* a bytearray */
    [')'] = {nnm_pickle_make_tuple, 0},
    [0x85] = {nnm_pickle_make_tuple, 1},
    [0x86] = {nnm_pickle_make_tuple, 2},
    [0x87] = {nnm_pickle_make_tuple, 3},
    ['t'] = {nnm_pickle_make_to_mark, NNM_PICKLE_TUPLE},
    [']'] = {nnm_pickle_make_empty, NNM_PICKLE_LIST},
    ['l'] = {nnm_pickle_make_to_mark, NNM_PICKLE_LIST},
    ['a'] = {nnm_pickle_add_one, NNM_PICKLE_LIST},
    ['e'] = {nnm_pickle_add_to_mark, NNM_PICKLE_LIST},
    ['}'] = {nnm_pickle_make_empty, NNM_PICKLE_DICT},
    ['d'] = {nnm_pickle_make_to_mark, NNM_PICKLE_DICT},
    ['s'] = {nnm_pickle_add_one, NNM_PICKLE_DICT},
    ['u'] = {nnm_pickle_add_to_mark, NNM_PICKLE_DICT},
    [0x8f] = {nnm_pickle_make_empty, NNM_PICKLE_SET},
    [0x90] = {nnm_pickle_add_to_mark, NNM_PICKLE_SET},
    [0x91] = {nnm_pickle_make_to_mark, NNM_PICKLE_SET},
    [0x94] = {memoize},
    ['p'] = {put_line},
    ['q'] = {put_counted, 1},
    ['r'] = {put_counted, 4},
    ['g'] = {get_line},
    ['h'] = {get_counted, 1},
    ['j'] = {get_counted, 4},
    ['c'] = {read_global},
    [0x93] = {take_global},
    ['R'] = {make_call, 0},
    [0x81] = {make_call, 0},
    [0x92] = {make_call, 1},
    ['b'] = {set_state},
    ['P'] = {refuse_reference}, /* persistent ids */
    ['Q'] = {refuse_reference},
    [0x82] = {refuse_reference}, /* the extension registry */
    [0x83] = {refuse_reference},
    [0x84] = {refuse_reference},
    [0x97] = {refuse_reference}, /* out-of-band buffers */
    [0x98] = {refuse_reference},
    ['i'] = {read_instance},
    ['o'] = {refuse_python_2},
    ['S'] = {refuse_python_2},
    ['T'] = {refuse_python_2},
    ['U'] = {refuse_python_2},
};
