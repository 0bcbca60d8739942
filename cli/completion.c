/* Completion scripts for bash, zsh and fish, from the table of options. Names of predictors are asked of the program
 * when they are completed, so that imported ones are among them. */
#include <string.h>

#include "help.h"

/* Only harmless names: bash expands what it is offered, and a predictor file may call itself anything. */
#define PREDICTOR_NAMES                       \
  "nn-meter --list-predictors 2>/dev/null | " \
  "sed -n 's/.*\\[Predictor\\] \\([A-Za-z0-9_.-]*\\): version=.*/\\1/p'; echo all"

#define NETWORK_NAMES                          \
  "nn-meter --list-torchvision 2>/dev/null | " \
  "sed -n 's/.*\\[Torchvision\\] \\([a-z0-9_]*\\)$/\\1/p'"

/* ------------------------------------------------------------------------------------------------ bash */

static void bash_options(FILE *to, const cli_command *command) {
  for (const cli_option *option = command->options; option->name; option++)
    if (option->kind != OPTION_REFUSED) fprintf(to, "%s--%s", option == command->options ? "" : " ", option->name);
}

/* What follows an option, as one case of each option that takes something. */
static void bash_values(FILE *to, const cli_command *command) {
  fputs("      case $option in\n", to);
  for (const cli_option *option = command->options; option->name; option++) {
    if (!option->value || option->kind == OPTION_REFUSED) continue;
    fprintf(to, "        --%s", option->name);
    if (option->letter) fprintf(to, "|-%c", option->letter);
    fputs(") ", to);
    if (option->kind == OPTION_CHOICE) {
      fputs("COMPREPLY=($(compgen -W '", to);
      for (size_t i = 0; option->choices[i]; i++) fprintf(to, "%s%s", i ? " " : "", option->choices[i]);
      fputs("' -- \"$word\")); return ;;\n", to);
    } else if (option->hint == HINT_PREDICTOR) {
      fputs("COMPREPLY=($(compgen -W \"$(" PREDICTOR_NAMES ")\" -- \"$word\")); return ;;\n", to);
    } else if (option->hint == HINT_NETWORK) {
      fputs("COMPREPLY=($(compgen -W \"$(" NETWORK_NAMES ")\" -- \"$word\")); return ;;\n", to);
    } else if (option->hint == HINT_NONE) {
      fputs("return ;;\n", to);
    } else {
      fputs("mapfile -t COMPREPLY < <(compgen -f -- \"$word\"); return ;;\n", to);
    }
  }
  fputs("      esac\n", to);
}

static void bash_command(FILE *to, const cli_command *command) {
  fprintf(to, "    %s%s%s)\n", command->name, command->alias ? "|" : "", command->alias ? command->alias : "");
  bash_values(to, command);
  fputs("      if [[ $word == -* ]]; then COMPREPLY=($(compgen -W '", to);
  bash_options(to, command);
  fputs("' -- \"$word\"));\n      else ", to);
  if (command->argument_choices) {
    fputs("COMPREPLY=($(compgen -W '", to);
    for (size_t i = 0; command->argument_choices[i]; i++)
      fprintf(to, "%s%s", i ? " " : "", command->argument_choices[i]);
    fputs("' -- \"$word\")); fi ;;\n", to);
  } else {
    fputs("mapfile -t COMPREPLY < <(compgen -f -- \"$word\"); fi ;;\n", to);
  }
}

static void print_bash(FILE *to) {
  fputs("# bash completion for nn-meter\n_nn_meter() {\n"
        "  local word=${COMP_WORDS[COMP_CWORD]} option=${COMP_WORDS[COMP_CWORD-1]} command= i\n"
        "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
        "    case ${COMP_WORDS[i]} in -*) ;; *) command=${COMP_WORDS[i]}; break ;; esac\n  done\n"
        "  COMPREPLY=()\n  case $command in\n",
        to);
  for (const cli_command *command = commands; command->name; command++) bash_command(to, command);
  fputs("    '') COMPREPLY=($(compgen -W '", to);
  for (const cli_command *command = commands; command->name; command++) fprintf(to, "%s ", command->name);
  bash_options(to, &main_command);
  fputs("' -- \"$word\")) ;;\n  esac\n}\ncomplete -o filenames -F _nn_meter nn-meter\n", to);
}

/* ------------------------------------------------------------------------------------------------ zsh */

/* Inside a '...' word of _arguments: quotes, brackets and colons have a meaning there. */
static void zsh_text(FILE *to, const char *text) {
  for (; *text; text++) {
    if (*text == '\'') fputs("'\\''", to);
    else if (strchr("[]:\\", *text)) fprintf(to, "\\%c", *text);
    else fputc(*text, to);
  }
}

static void zsh_option(FILE *to, const cli_option *option) {
  bool repeats = option->kind == OPTION_MANY || option->kind == OPTION_TEXTS;
  fprintf(to, "    '%s--%s[", repeats ? "*" : "", option->name);
  zsh_text(to, option->help);
  fputc(']', to);
  if (option->value) {
    fputc(':', to);
    zsh_text(to, option->value);
    fputc(':', to);
  }
  if (option->kind == OPTION_CHOICE) {
    fputc('(', to);
    for (size_t i = 0; option->choices[i]; i++) fprintf(to, "%s%s", i ? " " : "", option->choices[i]);
    fputc(')', to);
  } else if (option->value && option->hint == HINT_PREDICTOR) {
    fputs("_nn_meter_predictors", to);
  } else if (option->value && option->hint == HINT_NETWORK) {
    fputs("_nn_meter_networks", to);
  } else if (option->value && option->hint != HINT_NONE) {
    fputs("_files", to);
  }
  fputs("' \\\n", to);
}

static void zsh_arguments(FILE *to, const cli_command *command) {
  fputs("  _arguments -s \\\n", to);
  for (const cli_option *option = command->options; option->name; option++)
    if (option->kind != OPTION_REFUSED) zsh_option(to, option);
  if (command->argument_choices) {
    fputs("    '1:argument:(", to);
    for (size_t i = 0; command->argument_choices[i]; i++)
      fprintf(to, "%s%s", i ? " " : "", command->argument_choices[i]);
    fputs(")'\n", to);
  } else if (command->name[0]) {
    fputs("    '*:file:_files'\n", to);
  } else {
    fputs("    '1:command:_nn_meter_commands' '*::argument:_nn_meter_command'\n", to);
  }
}

static void print_zsh(FILE *to) {
  fputs("#compdef nn-meter\n# zsh completion for nn-meter\n"
        "_nn_meter_predictors() {\n  local -a names\n  names=(${(f)\"$(" PREDICTOR_NAMES ")\"})\n"
        "  compadd -a names\n}\n"
        "_nn_meter_networks() {\n  local -a names\n  names=(${(f)\"$(" NETWORK_NAMES ")\"})\n"
        "  compadd -a names\n}\n_nn_meter_commands() {\n  local -a names\n  names=(\n",
        to);
  for (const cli_command *command = commands; command->name; command++) {
    fprintf(to, "    '%s:", command->name);
    zsh_text(to, command->summary);
    fputs("'\n", to);
  }
  fputs("  )\n  _describe command names\n}\n_nn_meter_command() {\n  case $words[1] in\n", to);
  for (const cli_command *command = commands; command->name; command++) {
    fprintf(to, "  %s%s%s)\n", command->name, command->alias ? "|" : "", command->alias ? command->alias : "");
    zsh_arguments(to, command);
    fputs("  ;;\n", to);
  }
  fputs("  esac\n}\n_nn_meter() {\n", to);
  zsh_arguments(to, &main_command);
  fputs("}\nif [ \"$funcstack[1]\" = _nn_meter ]; then _nn_meter \"$@\"; else compdef _nn_meter nn-meter; fi\n", to);
}

/* ------------------------------------------------------------------------------------------------ fish */

static void fish_text(FILE *to, const char *text) {
  fputc('\'', to);
  for (; *text; text++) {
    if (*text == '\'' || *text == '\\') fputc('\\', to);
    fputc(*text, to);
  }
  fputc('\'', to);
}

static void fish_condition(FILE *to, const cli_command *command) {
  fputs("complete -c nn-meter -n ", to);
  if (!command->name[0]) fputs("__fish_use_subcommand", to);
  else
    fprintf(to, "'__fish_seen_subcommand_from %s%s%s'", command->name, command->alias ? " " : "",
            command->alias ? command->alias : "");
}

static void fish_option(FILE *to, const cli_command *command, const cli_option *option) {
  fish_condition(to, command);
  fprintf(to, " -l %s", option->name);
  if (option->letter) fprintf(to, " -s %c", option->letter);
  if (option->value) fputs(option->hint == HINT_FILE || option->hint == HINT_FOLDER ? " -r -F" : " -x", to);
  if (option->kind == OPTION_CHOICE) {
    fputs(" -a '", to);
    for (size_t i = 0; option->choices[i]; i++) fprintf(to, "%s%s", i ? " " : "", option->choices[i]);
    fputc('\'', to);
  } else if (option->value && option->hint == HINT_PREDICTOR) {
    fputs(" -a ", to);
    fish_text(to, "(" PREDICTOR_NAMES ")");
  } else if (option->value && option->hint == HINT_NETWORK) {
    fputs(" -a ", to);
    fish_text(to, "(" NETWORK_NAMES ")");
  }
  fputs(" -d ", to);
  fish_text(to, option->help);
  fputc('\n', to);
}

static void fish_options(FILE *to, const cli_command *command) {
  for (const cli_option *option = command->options; option->name; option++)
    if (option->kind != OPTION_REFUSED) fish_option(to, command, option);
}

static void print_fish(FILE *to) {
  fputs("# fish completion for nn-meter\n", to);
  fish_options(to, &main_command);
  for (const cli_command *command = commands; command->name; command++) {
    fprintf(to, "complete -c nn-meter -n __fish_use_subcommand -f -a %s -d ", command->name);
    fish_text(to, command->summary);
    fputc('\n', to);
    if (command->argument_choices) {
      fish_condition(to, command);
      fputs(" -f -a '", to);
      for (size_t i = 0; command->argument_choices[i]; i++)
        fprintf(to, "%s%s", i ? " " : "", command->argument_choices[i]);
      fputs("'\n", to);
    }
    fish_options(to, command);
  }
}

bool print_completion(const char *shell, FILE *to) {
  static const struct {
    const char *name;
    void (*print)(FILE *to);
  } shells[] = {{"bash", print_bash}, {"zsh", print_zsh}, {"fish", print_fish}};
  for (size_t i = 0; i < sizeof shells / sizeof *shells; i++)
    if (!strcmp(shells[i].name, shell)) {
      shells[i].print(to);
      return true;
    }
  return false;
}
