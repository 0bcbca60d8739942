/* The breakdown for people: one line a kernel, a total, and what the total does not cover. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "report/write.h"

enum { DEFAULT_COLUMNS = 100, LEAST_COLUMNS = 60, LEAST_CELL = 8, GAP = 2, TIME_COLUMNS = 10, SHARE_COLUMNS = 7 };
enum { COLUMN_NAME, COLUMN_TYPE, COLUMN_SHAPES, TEXT_COLUMNS };

typedef struct kernel_table {
  nnm_text text;
  const nnm_prediction *prediction;
  size_t number_width, widths[TEXT_COLUMNS], bar_width;
  double largest_ms;
  int decimals;
} kernel_table;

/* What stands for the kernel in the first column: its first node and how many more there are. */
static void write_members(nnm_text *text, const nnm_kernel_result *kernel) {
  if (!kernel->member_count) {
    nnm_text_add(text, kernel->name);
    return;
  }
  nnm_text_add(text, kernel->members[0]);
  if (kernel->member_count > 1) nnm_text_printf(text, " +%zu", kernel->member_count - 1);
}

/* The content of a cell, in place of what text held. */
static void write_column(nnm_text *text, const nnm_kernel_result *kernel, int column) {
  text->length = 0;
  nnm_text_add(text, "");
  switch (column) {
  case COLUMN_NAME: write_members(text, kernel); break;
  case COLUMN_TYPE: nnm_text_add(text, kernel->type); break;
  default: nnm_write_kernel_shapes(text, kernel, " -> "); break;
  }
}

static void pad(nnm_text *text, size_t from, size_t to) {
  for (; from < to; from++) nnm_text_add_bytes(text, " ", 1);
}

/* Digits after the point such that the largest kernel shows about four. */
static int decimals_for(double largest_ms) {
  if (!(largest_ms > 0)) return 3;
  double wanted = 3 - floor(log10(largest_ms));
  return wanted < 1 ? 1 : wanted > 6 ? 6 : (int)wanted;
}

static size_t count_digits(size_t number) {
  size_t digits = 1;
  while (number /= 10) digits++;
  return digits;
}

/* Natural widths, then the widest text column is narrowed until the line fits. */
static void lay_out(kernel_table *table, size_t columns) {
  static const char *const titles[TEXT_COLUMNS] = {"node", "kernel", "shapes"};
  if (columns == 0) columns = DEFAULT_COLUMNS;
  if (columns < LEAST_COLUMNS) columns = LEAST_COLUMNS;
  const nnm_prediction *prediction = table->prediction;
  for (int c = 0; c < TEXT_COLUMNS; c++) table->widths[c] = strlen(titles[c]);
  nnm_text scratch = {0};
  for (size_t i = 0; i < prediction->kernel_count; i++) {
    const nnm_kernel_result *kernel = &prediction->kernels[i];
    if (kernel->latency_ms > table->largest_ms) table->largest_ms = kernel->latency_ms;
    for (int c = 0; c < TEXT_COLUMNS; c++) {
      write_column(&scratch, kernel, c);
      size_t width = scratch.length < columns ? scratch.length : columns;
      if (width > table->widths[c]) table->widths[c] = width;
    }
  }
  if (scratch.failed) table->text.failed = true;
  nnm_text_free(&scratch);
  table->number_width = count_digits(prediction->kernel_count);
  table->decimals = decimals_for(table->largest_ms);
  enum { LEAST_BAR = 8, LARGEST_BAR = 24 };
  size_t fixed = table->number_width + TIME_COLUMNS + 1 + SHARE_COLUMNS + (TEXT_COLUMNS + 3) * GAP;
  size_t *widths = table->widths;
  while (fixed + LEAST_BAR + widths[0] + widths[1] + widths[2] > columns) {
    size_t *widest = &widths[0];
    for (int c = 1; c < TEXT_COLUMNS; c++)
      if (widths[c] > *widest) widest = &widths[c];
    if (*widest <= LEAST_CELL) break;
    --*widest;
  }
  size_t used = fixed + widths[0] + widths[1] + widths[2];
  table->bar_width = columns > used + LARGEST_BAR ? LARGEST_BAR : columns > used + 1 ? columns - used : 1;
}

static void write_heading(kernel_table *table) {
  nnm_text *text = &table->text;
  pad(text, 1, table->number_width);
  nnm_text_printf(text, "#  %-*s  %-*s  %-*s  %*s   %*s\n", (int)table->widths[COLUMN_NAME], "node",
                  (int)table->widths[COLUMN_TYPE], "kernel", (int)table->widths[COLUMN_SHAPES], "shapes", TIME_COLUMNS,
                  "ms", SHARE_COLUMNS, "share");
}

static double share_of(const kernel_table *table, double latency_ms) {
  return table->prediction->latency_ms > 0 ? latency_ms / table->prediction->latency_ms : 0;
}

/* ' ' within the training range, '*' outside, '!' nothing predicts it */
static char mark_of(const nnm_kernel_result *kernel) {
  return !kernel->has_predictor ? '!' : kernel->in_range ? ' ' : '*';
}

static void write_row(kernel_table *table, size_t index) {
  nnm_text *text = &table->text;
  const nnm_kernel_result *kernel = &table->prediction->kernels[index];
  nnm_text_printf(text, "%*zu", (int)table->number_width, index);
  nnm_text cell = {0};
  for (int c = 0; c < TEXT_COLUMNS; c++) {
    write_column(&cell, kernel, c);
    pad(text, 0, GAP);
    size_t width = nnm_write_cell(text, cell.data ? cell.data : "", table->widths[c], c == COLUMN_NAME);
    pad(text, width, table->widths[c]);
  }
  if (cell.failed) text->failed = true;
  nnm_text_free(&cell);
  nnm_text_printf(text, "  %*.*f%c  %*.1f%%  ", TIME_COLUMNS, table->decimals, kernel->latency_ms, mark_of(kernel),
                  SHARE_COLUMNS - 1, 100 * share_of(table, kernel->latency_ms));
  double full = table->largest_ms > 0 ? kernel->latency_ms / table->largest_ms : 0;
  for (size_t bar = (size_t)lround(full * (double)table->bar_width); bar > 0; bar--) nnm_text_add(text, "#");
  /* no blanks at the end of a line */
  while (text->length && text->data[text->length - 1] == ' ') text->data[--text->length] = '\0';
  nnm_text_add(text, "\n");
}

static void write_sum(kernel_table *table, const char *label, double latency_ms) {
  size_t before = table->number_width + (size_t)TEXT_COLUMNS * GAP;
  for (int c = 0; c < TEXT_COLUMNS; c++) before += table->widths[c];
  nnm_text_printf(&table->text, "%-*s  %*.*f   %*.1f%%\n", (int)before, label, TIME_COLUMNS, table->decimals,
                  latency_ms, SHARE_COLUMNS - 1, latency_ms > 0 ? 100 * share_of(table, latency_ms) : 0.0);
}

/* Three digits of the upper bound, and the lower one to the same place. */
static void write_interval(kernel_table *table) {
  const double *bounds = table->prediction->interval_ms;
  if (!isfinite(bounds[0]) || !isfinite(bounds[1])) return;
  double wanted = bounds[1] > 0 ? 2 - floor(log10(bounds[1])) : 2;
  int decimals = wanted < 0 ? 0 : wanted > 6 ? 6 : (int)wanted;
  nnm_text_printf(&table->text, "90 %% between %.*f and %.*f ms\n", decimals, bounds[0], decimals, bounds[1]);
}

static void write_coverage(kernel_table *table) {
  const nnm_prediction *prediction = table->prediction;
  size_t outside = 0, missing = 0;
  for (size_t i = 0; i < prediction->kernel_count; i++) {
    char mark = mark_of(&prediction->kernels[i]);
    outside += mark == '*';
    missing += mark == '!';
  }
  nnm_text *text = &table->text;
  /* rounded down: 100 % is said only when it is all */
  nnm_text_printf(text, "coverage: %.1f %% of the latency is from kernels within the training range\n",
                  floor(prediction->coverage * 1000) / 10);
  if (outside) nnm_text_printf(text, "  * %zu outside the training range\n", outside);
  if (missing) nnm_text_printf(text, "  ! %zu without a predictor, counted as 0\n", missing);
  for (size_t i = 0; i < prediction->note_count; i++) {
    nnm_text_add(text, "  - ");
    nnm_write_cell(text, prediction->notes[i], SIZE_MAX, false);
    nnm_text_add(text, "\n");
  }
}

nnm_status nnm_report_table(const nnm_prediction *prediction, size_t columns, char **out, nnm_error *error) {
  kernel_table table = {.prediction = prediction};
  lay_out(&table, columns);
  write_heading(&table);
  for (size_t i = 0; i < prediction->kernel_count; i++) write_row(&table, i);
  if (prediction->constant_ms != 0) write_sum(&table, "fixed cost of a run", prediction->constant_ms);
  write_sum(&table, "total", prediction->latency_ms);
  write_interval(&table);
  write_coverage(&table);
  return nnm_finish_text(&table.text, out, error);
}

nnm_status nnm_report_line(const nnm_prediction *prediction, const nnm_model *model, char **out, nnm_error *error) {
  nnm_text text = {0};
  char number[NNM_NUMBER_SIZE];
  nnm_text_add(&text, "(nn-Meter) [RESULT] predict latency for ");
  nnm_write_cell(&text, nnm_model_name(model), SIZE_MAX, false);
  nnm_text_printf(&text, ": %s ms\n", nnm_number_text(prediction->latency_ms, number));
  return nnm_finish_text(&text, out, error);
}
