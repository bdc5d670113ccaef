/* What budget.cpp does, by the C interface. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "spk/c_api.h"

static void* read_file(const char* path, size_t* size) {
    FILE* file = fopen(path, "rb");
    if (file == NULL) exit(EXIT_FAILURE);
    fseek(file, 0, SEEK_END);
    *size = (size_t)ftell(file);
    rewind(file);
    void* bytes = aligned_alloc(64, *size / 64 * 64 + 64);
    if (bytes == NULL || fread(bytes, 1, *size, file) != *size) exit(EXIT_FAILURE);
    fclose(file);
    return bytes;
}

static void print(const char* what, spk_status status, const spk_budget* budget) {
    printf("%s %d %d %lld %llu %llu\n", what, status.code, status.place, (long long)status.number,
           budget == NULL ? 0 : (unsigned long long)budget->events,
           budget == NULL ? 0 : (unsigned long long)budget->refused);
}

static void require(spk_status status) {
    if (status.code == SPK_OK) return;
    fprintf(stderr, "%s\n", status.message);
    exit(EXIT_FAILURE);
}

static size_t count(const int32_t* dims, int32_t rank) {
    size_t product = 1;
    for (int32_t axis = 0; axis < rank; ++axis) product *= (size_t)dims[axis];
    return product;
}

int main(int argc, char** argv) {
    size_t size, x_bytes;
    spk_model* model;
    spk_runtime* runtime;
    spk_port in, out;
    void* image = read_file(argv[1], &size);
    const char* x = read_file(argv[2], &x_bytes);
    require(spk_model_open(image, size, &model));
    require(spk_model_input(model, 0, &in));
    require(spk_model_output(model, 0, &out));
    const spk_memory_plan plan = spk_model_memory(model, 2, NULL);
    const size_t bytes = plan.arena + plan.scratch + plan.state;
    void* arena = aligned_alloc(64, bytes / 64 * 64 + 64);
    require(spk_runtime_create(model, arena, bytes, 2, NULL, &runtime));

    const size_t values = count(out.dims, out.rank), frame = count(in.step_dims, in.step_rank);
    const size_t y_bytes = values * sizeof(int32_t), step_bytes = count(out.step_dims, out.step_rank) * sizeof(int32_t);
    const size_t state_bytes = spk_state_bytes(runtime);
    int32_t* y = malloc(y_bytes);
    char *before = malloc(state_bytes), *after = malloc(state_bytes), *undo = malloc(state_bytes);
    const void *whole[] = {x}, *first[] = {x}, *second[] = {x + frame};
    for (int i = 3; i < argc; ++i) {
        spk_budget budget = {.max_events = strtoull(argv[i], NULL, 10)};
        for (int again = 0; again < 2; ++again) {
            const spk_status ran = spk_run_within(runtime, whole, &x_bytes, &y, &y_bytes, &budget);
            print(again ? "again" : "run", ran, &budget);
        }
        require(spk_run(runtime, whole, &x_bytes, &y, &y_bytes));
        for (size_t j = 0; j < values; ++j) printf("%d ", y[j]);

        require(spk_step(runtime, first, &frame, &y, &step_bytes));
        require(spk_get_state(runtime, before, state_bytes));
        print("\nwithout", spk_step_within(runtime, second, &frame, &y, &step_bytes, &budget), NULL);
        budget.undo = undo, budget.undo_bytes = state_bytes;
        print("step", spk_step_within(runtime, second, &frame, &y, &step_bytes, &budget), &budget);
        require(spk_get_state(runtime, after, state_bytes));
        puts(memcmp(before, after, state_bytes) == 0 ? "stands" : "went on");
        spk_reset(runtime);
    }
    spk_runtime_free(runtime);
    spk_model_free(model);
    free(arena), free(image), free((void*)x), free(y), free(before), free(after), free(undo);
    return EXIT_SUCCESS;
}
