#include "spk/c_api.h"

#include <algorithm>
#include <new>
#include <utility>
#include <vector>

#include "spk/model.hpp"
#include "spk/runtime.hpp"

// Buffers' spans live beside the runtime, so that running allocates nothing.
struct spk_model {
    spk::Model model;
};
struct spk_runtime {
    spk::Runtime runtime;
    std::vector<spk::InputBuffer> inputs;
    std::vector<spk::OutputBuffer> outputs;
};

namespace {

using spk::Code;
using spk::Status;

static_assert(static_cast<int>(Code::kBudget) == SPK_BUDGET && static_cast<int>(spk::Place::kOutput) == SPK_AT_OUTPUT);
static_assert(static_cast<int>(spk::PortDtype::kInt32) == SPK_INT32);

spk_status plain(const Status& status) {
    return {static_cast<int32_t>(status.code()), static_cast<int32_t>(status.place()), status.number(),
            status.message()};
}

spk_status no_memory() { return plain({Code::kMemory, "out of memory"}); }

spk_status describe(std::span<const spk::PortInfo> ports, size_t number, spk_port* port) {
    if (number >= ports.size()) return plain({Code::kShape, "there is no port of this number"});
    const spk::PortInfo& info = ports[number];
    *port = {};
    port->name = info.name.data(), port->name_length = info.name.size();
    port->dtype = static_cast<int32_t>(info.dtype);
    port->rank = info.shape.rank, port->step_rank = info.step_shape.rank;
    std::copy(info.shape.dims.begin(), info.shape.dims.end(), port->dims);
    std::copy(info.step_shape.dims.begin(), info.step_shape.dims.end(), port->step_dims);
    port->lo = info.lo, port->hi = info.hi;
    port->f = info.f, port->divisor = info.divisor;
    port->channel_f = info.channel_f.empty() ? nullptr : info.channel_f.data();
    port->channels = info.channel_f.size();
    return plain({});
}

spk::Options options(uint32_t threads, const char* isa) { return {threads, isa == nullptr ? "" : isa}; }

void collect(spk_runtime* self, const void* const* inputs, const size_t* input_bytes, int32_t* const* outputs,
             const size_t* output_bytes) {
    for (size_t i = 0; i < self->inputs.size(); ++i) {
        self->inputs[i] = {static_cast<const std::byte*>(inputs[i]), input_bytes[i]};
    }
    for (size_t i = 0; i < self->outputs.size(); ++i)
        self->outputs[i] = {outputs[i], output_bytes[i] / sizeof(int32_t)};
}

using Call = Status (spk::Runtime::*)(std::span<const spk::InputBuffer>, std::span<const spk::OutputBuffer>,
                                      spk::Budget*);

spk_status within(spk_runtime* self, Call call, spk_budget* budget) {
    if (budget == nullptr) return plain((self->runtime.*call)(self->inputs, self->outputs, nullptr));
    spk::Budget spent;
    spent.max_events = budget->max_events;
    if (budget->undo != nullptr) spent.undo = {static_cast<std::byte*>(budget->undo), budget->undo_bytes};
    const Status status = (self->runtime.*call)(self->inputs, self->outputs, &spent);
    budget->events = spent.events;
    budget->refused = spent.refused;
    return plain(status);
}

}  // namespace

extern "C" {

spk_status spk_model_open(const void* bytes, size_t size, spk_model** model) {
    spk::Model opened;
    const Status status = spk::Model::open({static_cast<const std::byte*>(bytes), size}, &opened);
    if (!status.ok()) return plain(status);
    auto* made = new (std::nothrow) spk_model{std::move(opened)};
    if (made == nullptr) return no_memory();
    *model = made;
    return plain({});
}

void spk_model_free(spk_model* model) { delete model; }
size_t spk_model_inputs(const spk_model* model) { return model->model.inputs().size(); }
size_t spk_model_outputs(const spk_model* model) { return model->model.outputs().size(); }
uint32_t spk_model_timesteps(const spk_model* model) { return model->model.timesteps(); }
uint32_t spk_model_max_timesteps(const spk_model* model) { return model->model.max_timesteps(); }

spk_status spk_model_input(const spk_model* model, size_t number, spk_port* port) {
    return describe(model->model.inputs(), number, port);
}

spk_status spk_model_output(const spk_model* model, size_t number, spk_port* port) {
    return describe(model->model.outputs(), number, port);
}

const char* spk_model_metadata(const spk_model* model, size_t* length) {
    *length = model->model.metadata().size();
    return model->model.metadata().data();
}

spk_memory_plan spk_model_memory(const spk_model* model, uint32_t threads, const char* isa) {
    const spk::MemoryPlan plan = spk::Runtime::memory(model->model, options(threads, isa));
    return {plan.weights, plan.arena, plan.scratch, plan.state};
}

spk_status spk_runtime_create(const spk_model* model, void* arena, size_t size, uint32_t threads, const char* isa,
                              spk_runtime** runtime) {
    auto* made = new (std::nothrow) spk_runtime;
    if (made == nullptr) return no_memory();
    const std::span<std::byte> memory{static_cast<std::byte*>(arena), size};
    const Status status = spk::Runtime::create(model->model, memory, options(threads, isa), &made->runtime);
    if (!status.ok()) {
        delete made;
        return plain(status);
    }
    made->inputs.resize(model->model.inputs().size());
    made->outputs.resize(model->model.outputs().size());
    *runtime = made;
    return plain({});
}

void spk_runtime_free(spk_runtime* runtime) { delete runtime; }

spk_status spk_run(spk_runtime* runtime, const void* const* inputs, const size_t* input_bytes, int32_t* const* outputs,
                   const size_t* output_bytes) {
    return spk_run_within(runtime, inputs, input_bytes, outputs, output_bytes, nullptr);
}

spk_status spk_step(spk_runtime* runtime, const void* const* inputs, const size_t* input_bytes, int32_t* const* outputs,
                    const size_t* output_bytes) {
    return spk_step_within(runtime, inputs, input_bytes, outputs, output_bytes, nullptr);
}

spk_status spk_run_within(spk_runtime* runtime, const void* const* inputs, const size_t* input_bytes,
                          int32_t* const* outputs, const size_t* output_bytes, spk_budget* budget) {
    collect(runtime, inputs, input_bytes, outputs, output_bytes);
    return within(runtime, &spk::Runtime::run, budget);
}

spk_status spk_step_within(spk_runtime* runtime, const void* const* inputs, const size_t* input_bytes,
                           int32_t* const* outputs, const size_t* output_bytes, spk_budget* budget) {
    collect(runtime, inputs, input_bytes, outputs, output_bytes);
    return within(runtime, &spk::Runtime::step, budget);
}

uint32_t spk_timestep(const spk_runtime* runtime) { return runtime->runtime.timestep(); }
size_t spk_state_bytes(const spk_runtime* runtime) { return runtime->runtime.state_bytes(); }
void spk_reset(spk_runtime* runtime) { runtime->runtime.reset(); }

spk_status spk_get_state(const spk_runtime* runtime, void* state, size_t size) {
    return plain(runtime->runtime.get_state({static_cast<std::byte*>(state), size}));
}

spk_status spk_set_state(spk_runtime* runtime, const void* state, size_t size) {
    return plain(runtime->runtime.set_state({static_cast<const std::byte*>(state), size}));
}

}  // extern "C"
