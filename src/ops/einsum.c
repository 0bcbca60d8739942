/* Einsum: every letter of the equation is one dimension; an ellipsis stands for broadcast dimensions. */
#include <string.h>

#include "base/checked.h"
#include "ops/matrix.h"

/* Letters get numbers 0..51; the dims of an ellipsis, counted from the right, 63 downwards. */
enum { ELLIPSIS_END = 63, ELLIPSIS_DIMS = 11 };

static int letter_of(char c) {
  if (c >= 'a' && c <= 'z') return c - 'a';
  return c >= 'A' && c <= 'Z' ? c - 'A' + 26 : -1;
}

typedef struct term {
  int32_t count;
  int8_t letters[NNM_LIMIT_RANK * 2];
  int32_t ellipsis; /* dims it stands for; -1: none */
} term;

/* One term of the equation over a tensor of `rank` dims (-1: the output, whose ellipsis is known). false: malformed. */
static bool read_term(const char *text, size_t length, int32_t rank, int32_t ellipsis_dims, term *out) {
  int32_t letters = 0, dots = 0;
  for (size_t i = 0; i < length; i++) {
    if (text[i] == '.') dots++;
    else if (letter_of(text[i]) >= 0) letters++;
    else if (text[i] != ' ') return false;
  }
  *out = (term){.ellipsis = dots ? (rank >= 0 ? rank - letters : ellipsis_dims) : -1};
  if ((dots && dots != 3) || (dots && (out->ellipsis < 0 || out->ellipsis > ELLIPSIS_DIMS)) ||
      letters > NNM_LIMIT_RANK || (!dots && rank >= 0 && letters != rank))
    return false;
  bool dots_done = false;
  for (size_t i = 0; i < length; i++) {
    if (text[i] == '.' && !dots_done) {
      for (int32_t j = 0; j < out->ellipsis; j++)
        out->letters[out->count++] = (int8_t)(ELLIPSIS_END - (out->ellipsis - 1 - j));
      dots_done = true;
    } else if (letter_of(text[i]) >= 0) {
      out->letters[out->count++] = (int8_t)letter_of(text[i]);
    }
  }
  return true;
}

/* Notes the sizes an operand gives to its letters; false when two operands contradict. */
static bool take_sizes(nnm_einsum *out, const term *operand, const nnm_shape *shape) {
  for (int32_t i = 0; i < operand->count; i++) {
    int letter = operand->letters[i];
    bool new = !(out->seen >> letter & 1);
    if (!new && out->sizes[letter] != shape->dims[i] && out->sizes[letter] != 1 && shape->dims[i] != 1) return false;
    if (new || out->sizes[letter] == 1) out->sizes[letter] = shape->dims[i];
    out->seen |= UINT64_C(1) << letter;
  }
  return true;
}

/* Without "->": the ellipsis, then letters that occur once, in alphabetical order (capitals first). */
static void implicit_output(const char *equation, int32_t ellipsis_dims, term *out) {
  *out = (term){.ellipsis = ellipsis_dims};
  for (int32_t j = 0; j < ellipsis_dims; j++)
    out->letters[out->count++] = (int8_t)(ELLIPSIS_END - (ellipsis_dims - 1 - j));
  for (char c = 'A'; c <= 'z' && out->count < NNM_LIMIT_RANK; c++) {
    const char *first = letter_of(c) >= 0 ? strchr(equation, c) : NULL;
    if (first && !strchr(first + 1, c)) out->letters[out->count++] = (int8_t)letter_of(c);
  }
}

static nnm_status fail_equation(const nnm_inference *inference, const nnm_node *node, const char *equation,
                                nnm_error *error) {
  return nnm_fail_node(inference, node, error, "has the equation '%.80s', which does not fit its inputs", equation);
}

nnm_status nnm_solve_einsum(const nnm_inference *inference, const nnm_node *node, nnm_einsum *out, bool *known,
                            nnm_error *error) {
  const char *equation = nnm_attribute_text(node, "equation", ""), *arrow = strstr(equation, "->"), *at = equation;
  size_t inputs_length = arrow ? (size_t)(arrow - equation) : strlen(equation);
  int32_t ellipsis_dims = 0;
  term parsed;
  for (uint32_t i = 0; i < node->input_count; i++) {
    const nnm_shape *shape = nnm_shape_of_input(inference, node, i);
    if (!shape) return NNM_OK;
    size_t left = inputs_length - (size_t)(at - equation);
    const char *comma = memchr(at, ',', left);
    size_t length = comma ? (size_t)(comma - at) : left;
    if (!read_term(at, length, shape->rank, 0, &parsed) || !take_sizes(out, &parsed, shape))
      return fail_equation(inference, node, equation, error);
    if (parsed.ellipsis > ellipsis_dims) ellipsis_dims = parsed.ellipsis;
    bool last = i + 1 == node->input_count;
    if (last != !comma) return fail_equation(inference, node, equation, error);
    at += length + !last;
  }
  if (!arrow) implicit_output(equation, ellipsis_dims, &parsed);
  else if (!read_term(arrow + 2, strlen(arrow + 2), -1, ellipsis_dims, &parsed))
    return fail_equation(inference, node, equation, error);
  if (parsed.count > NNM_LIMIT_RANK) return fail_equation(inference, node, equation, error);
  for (int32_t i = 0; i < parsed.count; i++) {
    int letter = parsed.letters[i];
    if (!(out->seen >> letter & 1)) return fail_equation(inference, node, equation, error);
    out->kept |= UINT64_C(1) << letter;
    out->dims[out->rank++] = out->sizes[letter];
  }
  *known = node->input_count > 0;
  return NNM_OK;
}

nnm_status nnm_rule_einsum(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  nnm_einsum solved = {0};
  bool known = false;
  NNM_TRY(nnm_solve_einsum(inference, node, &solved, &known, error));
  return known ? nnm_set_shape(inference, node, 0, solved.rank, solved.dims, error) : NNM_OK;
}
