/* The runtime for C and for foreign-function interfaces: spk/model.hpp and spk/runtime.hpp, which say more.
 *
 * Contract: the bytes of a model and the arena of a runtime belong to the caller, are aligned to 64 bytes, and outlive
 * what was made from them. A runtime belongs to one thread at a time. A call that fails changes nothing and says why (a
 * run that its budget stopped leaves the runtime at rest); message and names stay valid as long as the model. Integers
 * are exact and the same on every machine.
 */
#ifndef SPK_C_API_H
#define SPK_C_API_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct spk_model spk_model;
typedef struct spk_runtime spk_runtime;

enum spk_code { SPK_OK = 0, SPK_FORMAT, SPK_SHAPE, SPK_RANGE, SPK_UNSUPPORTED, SPK_MEMORY, SPK_BUDGET };
enum spk_place {
    SPK_NOWHERE = 0,
    SPK_AT_BYTE,
    SPK_AT_TENSOR,
    SPK_AT_OP,
    SPK_AT_BLOB,
    SPK_AT_PORT,
    SPK_AT_INPUT,
    SPK_AT_OUTPUT
};
enum spk_dtype { SPK_UINT8 = 1, SPK_INT8, SPK_INT16, SPK_INT32 };

typedef struct spk_status {
    int32_t code;  /* enum spk_code */
    int32_t place; /* enum spk_place: what `number` counts */
    int64_t number;
    const char* message; /* static, "" where code is SPK_OK */
} spk_status;

/* An input or output. Real value = integer * 2^-f / divisor, with channel_f[c] for f where that is not NULL. */
typedef struct spk_port {
    const char* name; /* name_length bytes, not terminated */
    size_t name_length;
    int32_t dtype; /* of inputs (enum spk_dtype); outputs are int32_t always */
    int32_t rank;  /* of a whole run, the timesteps included */
    int32_t dims[6];
    int32_t step_rank; /* of one timestep of a stream */
    int32_t step_dims[6];
    int32_t lo, hi; /* proven range */
    int32_t f;
    uint32_t divisor;
    const int32_t* channel_f;
    size_t channels;
} spk_port;

/* Bytes; an arena holds tensors, scratch and state. */
typedef struct spk_memory_plan {
    uint64_t weights, arena, scratch, state;
} spk_memory_plan;

spk_status spk_model_open(const void* bytes, size_t size, spk_model** model);
void spk_model_free(spk_model* model); /* runtimes keep what they need of it */
size_t spk_model_inputs(const spk_model* model);
size_t spk_model_outputs(const spk_model* model);
spk_status spk_model_input(const spk_model* model, size_t number, spk_port* port);
spk_status spk_model_output(const spk_model* model, size_t number, spk_port* port);
uint32_t spk_model_timesteps(const spk_model* model);
uint32_t spk_model_max_timesteps(const spk_model* model); /* 0: no bound */
const char* spk_model_metadata(const spk_model* model, size_t* length);

/* `isa`: "portable", "avx2", "avx512"; NULL or "": PYSPIKE_ISA, else the best. */
spk_memory_plan spk_model_memory(const spk_model* model, uint32_t threads, const char* isa);
spk_status spk_runtime_create(const spk_model* model, void* arena, size_t size, uint32_t threads, const char* isa,
                              spk_runtime** runtime);
void spk_runtime_free(spk_runtime* runtime);

/* One pointer and one size in bytes for each input and output, in the model's order. */
spk_status spk_run(spk_runtime* runtime, const void* const* inputs, const size_t* input_bytes, int32_t* const* outputs,
                   const size_t* output_bytes);
spk_status spk_step(spk_runtime* runtime, const void* const* inputs, const size_t* input_bytes, int32_t* const* outputs,
                    const size_t* output_bytes);

/* The same within a budget of events, spk::Budget: SPK_BUDGET at the operator before which it was exceeded. */
typedef struct spk_budget {
    uint64_t max_events;
    uint64_t events;  /* out: taken */
    uint64_t refused; /* out: what the layer that was not run would have taken, 0 where all ran */
    void* undo;       /* spk_step_within alone: spk_state_bytes() bytes, from which a stopped step is undone */
    size_t undo_bytes;
} spk_budget;

spk_status spk_run_within(spk_runtime* runtime, const void* const* inputs, const size_t* input_bytes,
                          int32_t* const* outputs, const size_t* output_bytes, spk_budget* budget);
spk_status spk_step_within(spk_runtime* runtime, const void* const* inputs, const size_t* input_bytes,
                           int32_t* const* outputs, const size_t* output_bytes, spk_budget* budget);

uint32_t spk_timestep(const spk_runtime* runtime);
size_t spk_state_bytes(const spk_runtime* runtime);
spk_status spk_get_state(const spk_runtime* runtime, void* state, size_t size);
spk_status spk_set_state(spk_runtime* runtime, const void* state, size_t size);
void spk_reset(spk_runtime* runtime);

#ifdef __cplusplus
}
#endif

#endif
