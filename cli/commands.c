/* The one table: every command and option. Parsing, --help, the man page and the shell completions are made from it.
 * README.md beside this file says how to add to it. */
#include <string.h>

#include "commands.h"

/* Rows of a table are easier to read than what the formatter makes of them. */
/* clang-format off */
#define TARGET(member) offsetof(cli_settings, member)
#define FLAG(long_name, letter_, member, text) \
  {.name = long_name, .letter = letter_, .kind = OPTION_FLAG, .target = TARGET(member), .help = text}
#define TEXT(long_name, letter_, member, placeholder, hint_, text)                                           \
  {.name = long_name, .letter = letter_, .kind = OPTION_TEXT, .target = TARGET(member), .value = placeholder, \
   .hint = hint_, .help = text}
#define REFUSED(long_name, reason) \
  {.name = long_name, .kind = OPTION_REFUSED, .target = TARGET(refused), .value = "FILE", .help = reason}

enum { GROUP_MODEL = 1, GROUP_FORMAT = 2 };

#define COMMON_OPTIONS                                                                     \
  FLAG("help", 'h', help, "print this help"),                                              \
  FLAG("verbose", 'v', verbose, "say more on standard error, each kernel included"),       \
  FLAG("quiet", 'q', quiet, "no notes and no progress on standard error, only errors")

#define MODEL_OPTIONS                                                                                                \
  {.name = "onnx", .kind = OPTION_MANY, .target = TARGET(onnx), .value = "PATH", .hint = HINT_FILE,                   \
   .group = GROUP_MODEL, .help = "ONNX models, or folders of *.onnx"},                                                \
  {.name = "tensorflow", .kind = OPTION_MANY, .target = TARGET(tensorflow), .value = "PATH", .hint = HINT_FILE,       \
   .group = GROUP_MODEL, .help = "TensorFlow frozen graphs and SavedModels, or folders of *.pb"},                     \
  {.name = "tflite", .kind = OPTION_MANY, .target = TARGET(tflite), .value = "PATH", .hint = HINT_FILE,               \
   .group = GROUP_MODEL, .help = "TensorFlow Lite models, or folders of *.tflite"},                                   \
  {.name = "nn-meter-ir", .kind = OPTION_MANY, .target = TARGET(nnmeter_ir), .value = "PATH", .hint = HINT_FILE,      \
   .group = GROUP_MODEL, .help = "models in nn-Meter's IR, or folders of *.json"},                                    \
  {.name = "nni-ir", .kind = OPTION_MANY, .target = TARGET(nni_ir), .value = "PATH", .hint = HINT_FILE,               \
   .group = GROUP_MODEL, .help = "models in NNI's graph IR (Retiarii), or folders of *.json"},                        \
  {.name = "torchvision", .kind = OPTION_MANY, .target = TARGET(torchvision), .value = "NAME", .hint = HINT_NETWORK,  \
   .group = GROUP_MODEL, .help = "networks of torchvision, by name, without torch; nn-meter --list-torchvision lists them"}

#define SHAPE_OPTIONS                                                                                                  \
  {.name = "batch-size", .kind = OPTION_NUMBER, .target = TARGET(batch_size), .value = "N", .least = 1,                \
   .most = 1L << 30, .help = "size of the first dimension of inputs that leave it open"},                              \
  {.name = "input-shape", .kind = OPTION_TEXTS, .target = TARGET(input_shapes), .value = "NAME:1x3x224x224",           \
   .help = "shape of a model input; may be given several times, and without NAME: for models with one input"}

#define PREDICTOR_OPTIONS(what)                                                                                        \
  {.name = "predictor", .kind = OPTION_TEXTS, .target = TARGET(predictors), .value = "NAME", .hint = HINT_PREDICTOR,   \
   .help = what},                                                                                                      \
  {.name = "predictor-version", .kind = OPTION_VERSION, .target = TARGET(predictor_version), .value = "VERSION",       \
   .help = "version of the predictor; the newest when not given"}

static const char *const compat_names[] = {"nn-meter-2.0", "own", NULL};
#define RULE_OPTIONS                                                                                                   \
  {.name = "compat", .kind = OPTION_CHOICE, .target = TARGET(compat), .value = "MODE", .choices = compat_names,        \
   .first_choice = COMPAT_NN_METER_2_0,                                                                                \
   .help = "how kernels are made, if not the way the predictor was trained with"},                                     \
  TEXT("fusion-rules", 0, fusion_rules, "FILE", HINT_FILE, "use these fusion rules instead of the predictor's")

static const cli_option main_options[] = {
    COMMON_OPTIONS,
    FLAG("version", 0, version, "print the version"),
    FLAG("list-predictors", 0, list_predictors, "list the latency predictors; with -v what each was made from"),
    FLAG("list-kernels", 0, list_kernels, "list the kernel types"),
    FLAG("list-operators", 0, list_operators, "list the operators"),
    FLAG("list-torchvision", 0, list_torchvision, "list the networks of torchvision that --torchvision takes"),
    {0},
};

static const cli_example main_examples[] = {
    {"nn-meter predict --predictor cortexA76cpu_tflite21 --onnx model.onnx", "milliseconds of one model on one device"},
    {"nn-meter predict --predictor all --breakdown model.onnx", "all devices, with the time of every kernel"},
    {"nn-meter help predict", "more about one command"},
    {0},
};

const cli_command main_command = {
    .name = "",
    .arguments = "COMMAND ...",
    .summary = "predict how long a neural network takes on an edge device",
    .description = "Predicts how long a neural network takes on an edge device, from the model file alone. Results go "
                   "to standard output, everything else to standard error. Exit status: 0 all well, 1 something "
                   "failed, 2 wrong usage.",
    .options = main_options,
    .examples = main_examples,
    .run = run_main,
};

/* ------------------------------------------------------------------------------------------------ predict */

static const cli_option predict_options[] = {
    MODEL_OPTIONS,
    PREDICTOR_OPTIONS("name or file of a predictor, or \"all\"; may be given several times"),
    FLAG("breakdown", 0, breakdown, "show every kernel: nodes, type, shapes, ms, share"),
    {.name = "json", .kind = OPTION_FLAG, .target = TARGET(json), .group = GROUP_FORMAT,
     .help = "print one JSON object, nn-meter/predict/1"},
    {.name = "jsonl", .kind = OPTION_FLAG, .target = TARGET(jsonl), .group = GROUP_FORMAT,
     .help = "print each result as one line of JSON as soon as it is there"},
    {.name = "csv", .kind = OPTION_FLAG, .target = TARGET(csv), .group = GROUP_FORMAT,
     .help = "print comma-separated values: a row per result, or with --breakdown per kernel"},
    TEXT("output", 'o', output, "FILE", HINT_FILE, "write the results to FILE, whole or not at all"),
    FLAG("strict", 0, strict, "fail a model when anything about it is guessed, extrapolated or left out"),
    {.name = "jobs", .letter = 'j', .kind = OPTION_NUMBER, .target = TARGET(jobs), .value = "N", .least = 0,
     .most = 256, .help = "models worked on at the same time, 0 for one per processor; the order of the results stays"},
    SHAPE_OPTIONS,
    RULE_OPTIONS,
    COMMON_OPTIONS,
    {0},
};

static const cli_example predict_examples[] = {
    {"nn-meter predict --predictor cortexA76cpu_tflite21 --onnx model.onnx", "one model on one device"},
    {"nn-meter predict --predictor all --breakdown model.onnx", "every device, with a table of the kernels"},
    {"nn-meter predict --predictor cortexA76cpu_tflite21 --tensorflow frozen.pb saved_model/", "TensorFlow, without TensorFlow"},
    {"nn-meter predict --predictor cortexA76cpu_tflite21 --torchvision resnet18 mobilenet_v2", "by name, without any file"},
    {"nn-meter predict --predictor adreno640gpu_tflite21 --onnx models/ --csv -o latencies.csv --jobs 4",
     "a folder of models into a table"},
    {"nn-meter predict --predictor myriadvpu_openvino2019r2 --input-shape 1x3x320x320 model.onnx",
     "a model that leaves its input shape open"},
    {"nn-meter predict --predictor cortexA76cpu_tflite21 --json model.onnx | jq '.results[].latency_ms'",
     "for programs; docs/json.md describes the fields"},
    {0},
};

/* ------------------------------------------------------------------------------------------------ the others */

static const cli_option get_ir_options[] = {
    MODEL_OPTIONS,
    TEXT("output", 'o', output, "FILE", HINT_FILE,
         "name of the file, \"-\" for standard output; MODEL_onnx_ir.json, MODEL_pb_ir.json, MODEL_tflite_ir.json or NAME_torchvision_ir.json when "
         "not given"),
    SHAPE_OPTIONS,
    COMMON_OPTIONS,
    {0},
};

static const cli_example get_ir_examples[] = {
    {"nn-meter get_ir --onnx model.onnx", "writes model_onnx_ir.json"},
    {"nn-meter get_ir --onnx model.onnx --output graph.json", "writes graph.json"},
    {"nn-meter get_ir --tensorflow frozen.pb", "writes frozen_pb_ir.json"},
    {0},
};

static const char *const stage_names[] = {"graph", "shapes", "kernels", "features", NULL};
static const cli_option inspect_options[] = {
    {.name = "stage", .kind = OPTION_CHOICE, .target = TARGET(stage), .value = "STAGE", .choices = stage_names,
     .first_choice = STAGE_GRAPH, .help = "what to print"},
    FLAG("json", 0, json, "print JSON, one object a line for each model"),
    MODEL_OPTIONS,
    PREDICTOR_OPTIONS("the predictor whose kernels and features are wanted"),
    TEXT("output", 'o', output, "FILE", HINT_FILE, "write to FILE, whole or not at all"),
    SHAPE_OPTIONS,
    RULE_OPTIONS,
    COMMON_OPTIONS,
    {0},
};

static const cli_example inspect_examples[] = {
    {"nn-meter inspect --stage=shapes model.onnx", "the shape of every tensor"},
    {"nn-meter inspect --stage=kernels --predictor cortexA76cpu_tflite21 model.onnx", "which nodes run as one"},
    {"nn-meter inspect --stage=kernels --json --compat nn-meter-2.0 --fusion-rules rules.json model.onnx",
     "the kernels nn-Meter 2.0 makes, as it writes them"},
    {0},
};

static const cli_option import_options[] = {
    TEXT("name", 0, name, "NAME", HINT_NONE, "name of the predictor"),
    {.name = "version", .kind = OPTION_VERSION, .target = TARGET(import_version), .value = "VERSION",
     .help = "its version, 1.0 when not given"},
    COMMON_OPTIONS,
    {0},
};

static const cli_example import_examples[] = {
    {"nn-meter import-predictor ~/.nn_meter/data/predictor/my_phone --name my_phone --version 1.0",
     "a predictor made with nn-Meter 2.0's builder"},
    {0},
};

#define NO_BUILDER(what) REFUSED(what, "this version has no builder of predictors; only --predictor is known here")
#define BUILDER_OPTIONS NO_BUILDER("backend"), NO_BUILDER("operator"), NO_BUILDER("testcase"), NO_BUILDER("kernel")

static const cli_option register_options[] = {
    {.name = "predictor", .kind = OPTION_TEXTS, .target = TARGET(predictors), .value = "FILE", .hint = HINT_FILE,
     .help = "a YAML file with name, version, category, package_location and kernel_predictors, or a .nnmeter file"},
    BUILDER_OPTIONS,
    COMMON_OPTIONS,
    {0},
};

static const cli_example register_examples[] = {
    {"nn-meter register --predictor my_phone.yaml", "a predictor that lies elsewhere, described as for nn-Meter 2.0"},
    {"nn-meter register --predictor my_phone.nnmeter", "a predictor file that fit made, or that somebody shared"},
    {"nn-meter predict --predictor my_phone --onnx model.onnx", "use it"},
    {0},
};

static const cli_option fetch_options[] = {
    TEXT("url", 0, url, "URL", HINT_NONE,
         "address of the archive (.zip) or predictor file (.nnmeter), or what stands before /NAME.zip; the releases of "
         "nn-Meter 2.0 when not given"),
    TEXT("sha256", 0, sha256, "DIGITS", HINT_NONE, "refuse anything else than the file with this SHA-256"),
    {.name = "size-limit", .kind = OPTION_NUMBER, .target = TARGET(size_limit), .value = "MB", .least = 1,
     .most = 1L << 20, .help = "largest file to download, 2048 when not given"},
    {.name = "timeout", .kind = OPTION_NUMBER, .target = TARGET(timeout), .value = "SECONDS", .least = 1, .most = 3600,
     .help = "how long to wait for a connection, or for data on it; 30 when not given"},
    FLAG("allow-http", 0, allow_http, "plain http too, which anybody on the way can change; best with --sha256"),
    COMMON_OPTIONS,
    {0},
};

static const char *const official_names[] = {"cortexA76cpu_tflite21", "adreno640gpu_tflite21", "adreno630gpu_tflite21",
                                             "myriadvpu_openvino2019r2", NULL};
static const cli_example fetch_examples[] = {
    {"nn-meter fetch cortexA76cpu_tflite21", "an official predictor of nn-Meter 2.0, used in place of the built-in one"},
    {"nn-meter fetch my_phone --url https://example.org/my_phone.nnmeter", "a predictor that somebody shares"},
    {"nn-meter fetch my_phone --url https://example.org/predictors", "the same from https://example.org/predictors/my_phone.zip"},
    {0},
};

static const cli_option unregister_options[] = {
    {.name = "predictor", .kind = OPTION_TEXTS, .target = TARGET(predictors), .value = "NAME", .hint = HINT_PREDICTOR,
     .help = "name of a predictor that was registered or imported"},
    {.name = "predictor-version", .kind = OPTION_VERSION, .target = TARGET(predictor_version), .value = "VERSION",
     .help = "the version to remove; all of them when not given"},
    BUILDER_OPTIONS,
    COMMON_OPTIONS,
    {0},
};

static const cli_example unregister_examples[] = {
    {"nn-meter unregister --predictor my_phone", "every version of it"},
    {"nn-meter unregister --predictor my_phone --predictor-version 1.0", "one version"},
    {0},
};

static const cli_option fit_options[] = {
    {.name = "models", .kind = OPTION_MANY, .target = TARGET(models), .value = "PATH", .hint = HINT_FILE,
     .help = "what was measured: model files, folders of them, or .jsonl files of benchmark graphs"},
    TEXT("latency", 0, latency, "FILE", HINT_FILE, "measured latencies of models: CSV with the columns model,latency_ms"),
    TEXT("kernels", 0, kernels, "FILE", HINT_FILE,
         "measured latencies of single kernels: CSV with the columns model,kernel,latency_ms; kernel is one of its nodes"),
    TEXT("column", 0, column, "NAME", HINT_NONE, "name of the column with the milliseconds, when it is not latency_ms"),
    {.name = "from", .kind = OPTION_TEXT, .target = TARGET(from), .value = "PREDICTOR", .hint = HINT_PREDICTOR,
     .help = "predictor to start from, name or file: that of the most similar device, or typical_phone, the mean of "
             "four phones; 10 models are then enough"},
    TEXT("device", 0, device, "NAME", HINT_NONE, "name of the new predictor"),
    {.name = "version", .kind = OPTION_VERSION, .target = TARGET(import_version), .value = "VERSION",
     .help = "its version, 1.0 when not given"},
    TEXT("output", 'o', output, "FILE", HINT_FILE,
         "the predictor file to write, NAME.nnmeter, with NAME.card.md and NAME.png beside it; with --suggest a new folder"),
    {.name = "suggest", .kind = OPTION_NUMBER, .target = TARGET(suggest), .value = "N", .least = 1, .most = 10000,
     .help = "write a folder of the N models whose measurement would teach the predictor most, chosen from --models or, "
             "without it, from networks of the usual families"},
    {.name = "size-limit", .kind = OPTION_NUMBER, .target = TARGET(size_limit), .value = "MB", .least = 1,
     .most = 1L << 20, .help = "largest file to suggest, 100 when not given"},
    TEXT("fusion-rules", 0, fusion_rules, "FILE", HINT_FILE,
         "what the device's runtime fuses; when not given, as the predictor to start from, or a phone's CPU"),
    {.name = "seed", .kind = OPTION_NUMBER, .target = TARGET(seed), .value = "N", .least = 0, .most = 1L << 30,
     .help = "the same seed gives the same file on the same machine"},
    {.name = "epochs", .kind = OPTION_NUMBER, .target = TARGET(epochs), .value = "N", .least = 1, .most = 100000,
     .help = "turns over the measurements of a training from scratch (without --from); chosen for their number when not given"},
    {.name = "threads", .kind = OPTION_NUMBER, .target = TARGET(threads), .value = "N", .least = 1, .most = 256,
     .help = "processors to use, 1 when not given; more help when thousands of models were measured"},
    FLAG("keep-going", 0, keep_going,
         "leave out what does not match or cannot be read; accept a suspected unit and few measurements"),
    SHAPE_OPTIONS,
    COMMON_OPTIONS,
    {0},
};

static const cli_example fit_examples[] = {
    {"nn-meter fit --suggest 10 --from adreno640gpu_tflite21 --output to_measure", "which models to measure"},
    {"nn-meter fit --models to_measure --latency to_measure/latency.csv --from adreno640gpu_tflite21 --device my_phone "
     "--output my_phone.nnmeter",
     "a predictor for a new device from ten measurements"},
    {"nn-meter fit --models graphs.jsonl --latency measured.csv --device my_phone --output my_phone.nnmeter",
     "from scratch, with hundreds of measurements or more"},
    {"nn-meter predict --predictor ./my_phone.nnmeter --onnx model.onnx", "use it"},
    {0},
};

static const char *const shell_names[] = {"bash", "zsh", "fish", NULL};
static const cli_option completion_options[] = {COMMON_OPTIONS, {0}};
static const cli_example completion_examples[] = {
    {"source <(nn-meter completion bash)", "for this shell; a line for ~/.bashrc"},
    {"nn-meter completion zsh > ~/.zfunc/_nn-meter", "a folder of your fpath"},
    {"nn-meter completion fish > ~/.config/fish/completions/nn-meter.fish", "found there by itself"},
    {0},
};

static const cli_option help_options[] = {
    FLAG("man", 0, manual, "print the manual page, for man -l -"),
    COMMON_OPTIONS,
    {0},
};
static const cli_example help_examples[] = {
    {"nn-meter help predict", "the same as nn-meter predict --help"},
    {"nn-meter help --man | man -l -", "read the manual page"},
    {0},
};

const cli_command commands[] = {
    {.name = "predict", .alias = "lat_pred", .summary = "predict the latency of models", .arguments = "[FILE ...]",
     .description = "Predicts the latency of models in milliseconds. Files that are named without an option are "
                    "recognised by their content; of a folder, the model files directly in it are taken, sorted by "
                    "name. A model that cannot be read is reported, and the others go on.",
     .options = predict_options, .examples = predict_examples, .most_arguments = (size_t)-1, .run = run_predict},
    {.name = "get_ir", .alias = "getir", .summary = "write a model's nn-Meter IR graph", .arguments = "[FILE]",
     .description = "Writes the nn-Meter IR graph of a model as JSON, which predict --nn-meter-ir and nn-Meter 2.0 "
                    "read.",
     .options = get_ir_options, .examples = get_ir_examples, .most_arguments = 1, .run = run_get_ir},
    {.name = "inspect", .summary = "print what one stage makes of a model", .arguments = "[FILE ...]",
     .description = "Prints what a stage on the way from file to latency makes of a model: the graph as read, the "
                    "shape of every tensor, the kernels, or the features the predictor sees.",
     .options = inspect_options, .examples = inspect_examples, .most_arguments = (size_t)-1, .run = run_inspect},
    {.name = "import-predictor", .summary = "register a predictor made with nn-Meter 2.0", .arguments = "FOLDER",
     .description = "Reads a folder of nn-Meter 2.0's scikit-learn pickles with its fusion_rules.json, executing "
                    "nothing that is in them, and registers them as a predictor under NN_METER_HOME (default ~/.nn_meter).",
     .options = import_options, .examples = import_examples, .most_arguments = 1, .run = run_import},
    {.name = "register", .summary = "add a predictor to those known by name", .arguments = "",
     .description = "Adds a predictor to the list in HOME/config/predictors.yaml, or a predictor file to HOME/predictors. It is "
                    "opened once, so that what cannot be used is not registered. HOME: NN_METER_HOME, else ~/.nn_meter.",
     .options = register_options, .examples = register_examples, .run = run_register},
    {.name = "unregister", .summary = "remove a predictor from those known by name", .arguments = "",
     .description = "Removes a predictor that was registered or imported. Pickles and predictor files outside of HOME stay.",
     .options = unregister_options, .examples = unregister_examples, .run = run_unregister},
    {.name = "fetch", .summary = "download a predictor", .arguments = "NAME",
     .description = "Downloads a predictor, checks it and puts it where --predictor NAME finds it. A download that breaks "
                    "off goes on where it stopped, in a later run too. The only command that uses the "
                    "network.",
     .options = fetch_options, .examples = fetch_examples, .argument_choices = official_names,
     .most_arguments = 1, .run = run_fetch},
    {.name = "fit", .summary = "make a predictor from measured latencies", .arguments = "",
     .description = "Makes a predictor for your device from the latencies that you measured on it: from scratch, or from the "
                    "predictor of another device and a handful of measurements. Runs in Python with PyTorch: pip install "
                    "'nn-meter[fit]'. Which Python: NN_METER_PYTHON, else python3.",
     .options = fit_options, .examples = fit_examples, .run = run_fit},
    {.name = "completion", .summary = "print a completion script for a shell", .arguments = "bash|zsh|fish",
     .description = "Prints a script that completes nn-meter's commands, options and predictor names.",
     .options = completion_options, .examples = completion_examples, .argument_choices = shell_names,
     .most_arguments = 1, .run = run_completion},
    {.name = "help", .summary = "print help on a command", .arguments = "[COMMAND]",
     .description = "Prints help on a command, or on all of them.", .options = help_options, .examples = help_examples,
     .most_arguments = 1, .run = run_help},
    {0},
};

/* clang-format on */

const cli_command *find_command(const char *name) {
  for (const cli_command *command = commands; command->name; command++)
    if (!strcmp(command->name, name) || (command->alias && !strcmp(command->alias, name))) return command;
  return NULL;
}
