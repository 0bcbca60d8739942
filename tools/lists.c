/* Prints what this build knows, one "KIND NAME" a line, through the public interface: tools/generate_docs.py turns it
 * into the tables of the documentation. */
#include <stdio.h>

#include "nnmeter/nnmeter.h"

static void print_all(const char *kind, const char *const *names) {
  for (; *names; names++) printf("%s\t%s\n", kind, *names);
}

int main(void) {
  print_all("format", nnm_formats());
  print_all("operator", nnm_operator_names());
  print_all("kernel", nnm_kernel_names());
  nnm_predictor_list *list;
  nnm_error error;
  /* A home that cannot exist: only what is built in. */
  if (nnm_predictor_list_create("/dev/null/none", &list, &error) != NNM_OK) {
    fprintf(stderr, "%s\n", error.message);
    return 1;
  }
  for (size_t i = 0; i < nnm_predictor_list_count(list); i++) {
    const nnm_predictor_info *info = nnm_predictor_list_at(list, i);
    printf("device\t%s\t%s\t%s\n", info->name, info->version, info->card);
  }
  nnm_predictor_list_free(list);
  return 0;
}
