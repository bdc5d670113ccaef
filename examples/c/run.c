/* Runs a model on raw integers, in C:
 *
 *     run model.spk input.bin [input.bin ...]
 *
 * Each file holds one input, row-major, in its dtype. Prints each output: its name, then its integers on one line.
 */
#include <stdio.h>
#include <stdlib.h>

#include "spk/c_api.h"

#define MAX_PORTS 16

static void* aligned(size_t size) { return aligned_alloc(64, (size + 63) / 64 * 64 + 64); }

static void* read_file(const char* path, size_t* size) {
    FILE* file = fopen(path, "rb");
    if (file == NULL) return perror(path), NULL;
    fseek(file, 0, SEEK_END);
    *size = (size_t)ftell(file);
    rewind(file);
    void* bytes = aligned(*size);
    if (bytes != NULL && fread(bytes, 1, *size, file) != *size) {
        free(bytes);
        bytes = NULL;
    }
    fclose(file);
    return bytes;
}

static int good(const char* what, spk_status status) {
    if (status.code != SPK_OK)
        fprintf(stderr, "%s: %s (number %lld)\n", what, status.message, (long long)status.number);
    return status.code == SPK_OK;
}

static void print_output(const spk_port* port, const int32_t* integers, size_t count) {
    printf("%.*s", (int)port->name_length, port->name);
    for (size_t i = 0; i < count; ++i) printf(" %d", integers[i]);
    putchar('\n');
}

/* Reads the inputs, runs, prints. */
static int run(const spk_model* model, spk_runtime* runtime, char** paths) {
    const void* inputs[MAX_PORTS];
    int32_t* outputs[MAX_PORTS];
    size_t input_bytes[MAX_PORTS], output_bytes[MAX_PORTS];
    spk_port port;
    for (size_t i = 0; i < spk_model_inputs(model); ++i) {
        inputs[i] = read_file(paths[i], &input_bytes[i]);
        if (inputs[i] == NULL) return EXIT_FAILURE;
    }
    for (size_t i = 0; i < spk_model_outputs(model); ++i) {
        if (!good("output", spk_model_output(model, i, &port))) return EXIT_FAILURE;
        output_bytes[i] = sizeof(int32_t);
        for (int32_t axis = 0; axis < port.rank; ++axis) output_bytes[i] *= (size_t)port.dims[axis];
        outputs[i] = aligned(output_bytes[i]);
    }
    if (!good("run", spk_run(runtime, inputs, input_bytes, outputs, output_bytes))) return EXIT_FAILURE;
    for (size_t i = 0; i < spk_model_outputs(model); ++i) {
        if (!good("output", spk_model_output(model, i, &port))) return EXIT_FAILURE;
        print_output(&port, outputs[i], output_bytes[i] / sizeof(int32_t));
        free(outputs[i]);
    }
    for (size_t i = 0; i < spk_model_inputs(model); ++i) free((void*)inputs[i]);
    return EXIT_SUCCESS;
}

int main(int argc, char** argv) {
    size_t size = 0;
    spk_model* model = NULL;
    spk_runtime* runtime = NULL;
    void* image = argc > 1 ? read_file(argv[1], &size) : NULL;
    if (image == NULL || !good(argv[1], spk_model_open(image, size, &model))) return EXIT_FAILURE;
    const size_t inputs = spk_model_inputs(model);
    if ((size_t)argc != 2 + inputs || inputs > MAX_PORTS || spk_model_outputs(model) > MAX_PORTS) {
        fprintf(stderr, "expected %zu input files\n", inputs);
        return EXIT_FAILURE;
    }
    const spk_memory_plan plan = spk_model_memory(model, 1, NULL);
    const size_t bytes = plan.arena + plan.scratch + plan.state;
    void* arena = aligned(bytes);
    if (!good("runtime", spk_runtime_create(model, arena, bytes, 1, NULL, &runtime))) return EXIT_FAILURE;
    const int result = run(model, runtime, argv + 2);
    spk_runtime_free(runtime);
    spk_model_free(model);
    free(arena);
    free(image);
    return result;
}
