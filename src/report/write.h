/* Numbers, JSON and table cells as text. What comes from model files may hold any bytes: everything here makes it safe
 * for its target. */
#ifndef NNM_REPORT_WRITE_H
#define NNM_REPORT_WRITE_H

#include <stdint.h>

#include "base/text.h"
#include "nnmeter/nnmeter.h"

enum { NNM_NUMBER_SIZE = 40 };

/* The shortest decimal that reads back as the same double, in the form of Python's repr ("12.5", "1e-07", "3.0") and
 * whatever the locale. Infinities and NaN give "null": reports have no other word for them. Returns buffer. */
const char *nnm_number_text(double number, char buffer[NNM_NUMBER_SIZE]);

/* A JSON string with its quotes. Bytes that are not UTF-8 become U+FFFD. */
void nnm_write_json_text(nnm_text *text, const char *value);
void nnm_write_json_number(nnm_text *text, double number);
void nnm_write_json_integers(nnm_text *text, const int64_t *values, size_t count);  /* [1, 2] */
void nnm_write_json_texts(nnm_text *text, const char *const *values, size_t count); /* ["a", "b"] */
void nnm_write_json_key(nnm_text *text, const char *key);                           /* , "key":  */
void nnm_write_json_attributes(nnm_text *text, const nnm_kernel_result *kernel); /* shapes, attributes, multiply-adds */

/* One line of printable text: control characters and bytes that are not UTF-8 become '?'. At most `columns` characters,
 * the beginning (keep_end: the end) of a longer value, with ".." where it was cut. Returns the characters written. */
size_t nnm_write_cell(nnm_text *text, const char *value, size_t columns, bool keep_end);

/* "1x56x56x24 + 1x24 -> 1x56x56x144" */
void nnm_write_kernel_shapes(nnm_text *text, const nnm_kernel_result *kernel, const char *arrow);

/* The text, or NNM_ERROR_MEMORY when any piece did not fit into memory. */
nnm_status nnm_finish_text(nnm_text *text, char **out, nnm_error *error);

#endif
