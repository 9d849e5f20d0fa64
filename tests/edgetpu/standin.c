/* A stand-in for libedgetpu: the two symbols by which LiteRT loads a delegate, and a kernel for the
 * operator edgetpu-custom-op.  It computes the largest value of each channel, which is what the tests'
 * int8 model computes, plus EDGETPU_STANDIN_STEPS.
 *
 * EDGETPU_STANDIN says what happens: absent (no device), crash (abort while opening), fault (a wild
 * pointer while opening the model), hang; else it works.  While the file EDGETPU_STANDIN_UNPLUGGED
 * exists, the device neither opens nor answers.
 *
 * The structures are those of LiteRT's tflite/core/c/common.h, as far as they are used here. */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OK = 0, ERROR = 1 };

typedef struct { int size; int data[]; } Ints;

typedef struct {
  int type;
  int8_t *data;
  Ints *dims;
  float scale;
  int32_t zero_point;
  int allocation_type;
  size_t bytes;
  const void *allocation;
  const char *name;
  void *delegate;
  int buffer_handle;
  _Bool data_is_stale, is_variable;
  int quantization_type;
  void *quantization;
  void *sparsity;
  const Ints *dims_signature;
} Tensor;

typedef struct {
  Ints *inputs, *outputs, *intermediates, *temporaries;
  void *user_data, *builtin_data;
  const void *custom_initial_data;
  int custom_initial_data_size;
} Node;

struct Registration;

typedef struct Context {
  size_t tensors_size;
  int (*execution_plan)(struct Context *, Ints **);
  Tensor *tensors;
  void *impl;
  int (*resize)(struct Context *, Tensor *, Ints *);
  void (*report)(struct Context *, const char *, ...);
  int (*add)(struct Context *, int, int *);
  int (*node)(struct Context *, int, Node **, struct Registration **);
  int (*replace)(struct Context *, struct Registration, const Ints *, void *);
} Context;

typedef struct Registration {
  void *(*init)(Context *, const char *, size_t);
  void (*free)(Context *, void *);
  int (*prepare)(Context *, Node *);
  int (*invoke)(Context *, Node *);
  const char *(*profile)(const Context *, const Node *);
  int32_t builtin_code;
  const char *custom_name;
  int version;
  void *external, *async;
  uint64_t inplace;
} Registration;

typedef struct Delegate {
  void *data;
  int (*prepare)(Context *, struct Delegate *);
  void *copy_from, *copy_to, *free_handle;
  int64_t flags;
  void *opaque;
} Delegate;

static _Bool behaves(const char *how) {
  const char *wanted = getenv("EDGETPU_STANDIN");
  return wanted != NULL && strcmp(wanted, how) == 0;
}

static _Bool unplugged(void) {
  const char *mark = getenv("EDGETPU_STANDIN_UNPLUGGED");
  return mark != NULL && access(mark, F_OK) == 0;
}

static _Bool lost; /* a device that went away answers only one who opens it again */

static int fits(Context *context, Node *node) {
  (void)context;
  (void)node;
  return OK;
}

static int largest(Context *context, Node *node) {
  lost = lost || unplugged();
  if (lost) {
    context->report(context, "USB transfer error 2");
    return ERROR;
  }
  const char *steps = getenv("EDGETPU_STANDIN_STEPS");
  const Tensor *in = &context->tensors[node->inputs->data[0]];
  Tensor *out = &context->tensors[node->outputs->data[0]];
  for (size_t channel = 0; channel < out->bytes; channel++) {
    int best = INT8_MIN;
    for (size_t place = channel; place < in->bytes; place += out->bytes)
      if (in->data[place] > best) best = in->data[place];
    best += steps != NULL ? atoi(steps) : 0;
    out->data[channel] = (int8_t)(best > INT8_MAX ? INT8_MAX : best);
  }
  return OK;
}

static int prepare(Context *context, Delegate *delegate) {
  if (behaves("fault")) raise(SIGSEGV);
  Ints *plan;
  if (context->execution_plan(context, &plan) != OK) return ERROR;
  struct { int size; int data[64]; } mine = {0};
  for (int place = 0; place < plan->size; place++) {
    Node *node;
    Registration *found;
    if (context->node(context, plan->data[place], &node, &found) != OK) return ERROR;
    if (found->custom_name != NULL && strcmp(found->custom_name, "edgetpu-custom-op") == 0)
      mine.data[mine.size++] = plan->data[place];
  }
  Registration kernel = {.prepare = fits, .invoke = largest, .custom_name = "stand-in", .version = 1};
  return context->replace(context, kernel, (const Ints *)&mine, delegate);
}

Delegate *tflite_plugin_create_delegate(char **keys, char **values, size_t count,
                                        void (*report)(const char *)) {
  (void)keys;
  (void)values;
  (void)count;
  (void)report;
  if (behaves("crash")) abort();
  if (behaves("hang")) sleep(600);
  if (behaves("absent") || unplugged()) return NULL;
  lost = 0;
  Delegate *delegate = calloc(1, sizeof *delegate);
  delegate->prepare = prepare;
  delegate->flags = 1; /* as the real one: tensors may be dynamic */
  return delegate;
}

void tflite_plugin_destroy_delegate(Delegate *delegate) { free(delegate); }
