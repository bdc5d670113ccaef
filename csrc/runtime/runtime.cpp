#include "spk/runtime.hpp"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <new>
#include <optional>
#include <variant>

#include "runtime/context.hpp"
#include "runtime/moves.hpp"
#include "runtime/neurons.hpp"
#include "runtime/past.hpp"
#include "runtime/ports.hpp"
#include "runtime/synapse.hpp"

namespace spk {
namespace {

constexpr std::uint32_t kMostThreads = 256;
constexpr std::size_t kMostMultiples = 16777216;  // bytes of a whole model's multiples of weights
constexpr std::size_t kOverread = 64;             // kernels may read so far past a tensor

using Plan = std::variant<std::monostate, GatherPlan, DepthwisePlan, FirePlan>;

bool is_synapse(const Op& op) {
    return std::holds_alternative<Conv2d>(op.params) || std::holds_alternative<Linear>(op.params);
}

bool is_used(const Program& program, std::int32_t tensor) {
    const auto is_output = [&](const PortView& port) { return port.tensor == tensor; };
    if (std::any_of(program.outputs.begin(), program.outputs.end(), is_output)) return true;
    return std::any_of(program.ops.begin(), program.ops.end(), [&](const Op& op) {
        return std::find(op.inputs.begin(), op.inputs.end(), tensor) != op.inputs.end();
    });
}

bool is_gathered(const Op& op) { return is_synapse(op) && !synapse_of(op).weight.depthwise; }

const TensorView& input_of(const Program& program, const Op& op) {
    return program.tensors[static_cast<std::size_t>(op.inputs[0])];
}

// Plans of all operators, and what they need: one set of event lists, multiples of small layers' weights, and a piece
// of scratch for each thread.
struct Prepared {
    std::vector<Plan> plans;
    std::vector<std::optional<Differences>> differences;  // of an incremental runtime
    std::size_t events = 0, multiples = 0, piece = 0;

    void need(const GatherPlan& plan) {
        if (!plan.looked_up()) events = std::max(events, plan.events.bytes());
        const std::size_t scratch = plan.kernel == GatherKernel::kFlat      ? flat_scratch(plan)
                                    : plan.kernel == GatherKernel::kScatter ? scatter_scratch(plan.shape)
                                                                            : gather_scratch(plan.shape, plan.events);
        piece = std::max(piece, scratch);
    }
    void add(GatherPlan plan) {
        if (plan.folded()) multiples += align64(plan.multiples_bytes());
        need(plan);
        plans.emplace_back(std::move(plan));
    }
};

Prepared prepare(const Program& program, const Options& options) {
    Prepared prepared;
    if (options.incremental) prepared.differences.resize(program.ops.size());
    for (const Op& op : program.ops) {
        if (is_gathered(op)) {
            const TensorView& output = program.tensors[static_cast<std::size_t>(op.output)];
            const std::size_t left = kMostMultiples - std::min(prepared.multiples, kMostMultiples);
            const SynapseShape shape = shape_of(program, op);
            const bool linear = std::holds_alternative<Linear>(op.params);
            const std::size_t index = prepared.plans.size();
            const bool chosen = options.choices.size() == program.ops.size();
            const KernelChoice choice = chosen ? options.choices[index] : KernelChoice{};
            const auto planned = [&](bool whole) {
                const GatherKernel kernel =
                    choose_kernel(shape, input_of(program, op), output, linear, left, whole, choice);
                return plan_gather(program, op, kernel, chunk_rows(choice));
            };
            GatherPlan plan = planned(!options.incremental);
            if (plan.chunks.empty()) plan = planned(false);  // the weights do not let it scatter
            prepared.add(std::move(plan));
            if (!options.incremental) continue;
            std::optional<Differences>& differences = prepared.differences[index];
            differences.emplace(std::get<GatherPlan>(prepared.plans.back()));
            prepared.need(differences->plan);
        } else if (is_synapse(op)) {
            DepthwisePlan plan = plan_depthwise(program, op);
            prepared.piece = std::max(prepared.piece, depthwise_scratch(plan));
            prepared.plans.emplace_back(std::move(plan));
        } else if (std::holds_alternative<Fire>(op.params)) {
            prepared.plans.emplace_back(plan_fire(program, op));
        } else {
            prepared.plans.emplace_back();
        }
    }
    return prepared;
}

MemoryPlan memory_of(const Program& program, const Prepared& prepared, const Options& options, const Past* past) {
    const std::uint64_t threads = std::clamp<std::uint64_t>(options.threads, 1, kMostThreads);
    MemoryPlan plan;
    plan.weights = program.image_bytes;
    plan.arena = past != nullptr ? past->bytes() : align64(program.arena_bytes);
    plan.scratch = align64(kOverread) + prepared.events + prepared.multiples + threads * prepared.piece;
    plan.state = align64(program.state_bytes);
    return plan;
}

std::string_view wanted_isa(const Options& options) {
    if (!options.isa.empty()) return options.isa;
    const char* environment = std::getenv("PYSPIKE_ISA");
    return environment == nullptr ? std::string_view{} : std::string_view{environment};
}

}  // namespace

struct Runtime::Impl {
    Model model;
    std::optional<Pool> pool;
    Context context;
    std::vector<Plan> plans;
    std::optional<Past> past;  // of an incremental runtime
    std::vector<bool> used;    // inputs that anything reads: others have no place in the arena of their own
    std::uint32_t timestep = 0;

    const Program& program() const { return *context.program; }
    void clear_state() {
        timestep = 0;
        if (program().state_bytes != 0) std::memset(context.state, 0, program().state_bytes);
    }
    void make_multiples(std::byte* memory);
    void execute(std::size_t index);
    void update(std::size_t index);
    void profile(std::size_t index, LayerProfile* layer) const;
    Status spend(std::size_t index, Budget* budget);
    Status run_phase(Phase phase, std::span<LayerProfile> layers, Budget* budget);
    Status run_phases(std::span<const InputBuffer> inputs, std::span<const OutputBuffer> outputs,
                      std::span<LayerProfile> layers, Budget* budget);
    void exchange(std::span<const InputBuffer> inputs, std::uint32_t t, std::uint32_t steps, bool time);
    void deliver(std::span<const OutputBuffer> outputs, std::uint32_t t, std::uint32_t steps, bool time) const;
    Status run(std::span<const InputBuffer> inputs, std::span<const OutputBuffer> outputs,
               std::span<LayerProfile> layers, Budget* budget);
};

void Runtime::Impl::make_multiples(std::byte* memory) {
    for (std::size_t index = 0; index < plans.size(); ++index) {
        auto* gather = std::get_if<GatherPlan>(&plans[index]);
        if (gather == nullptr || !gather->folded()) continue;
        spk::make_multiples(*context.kernels, program().ops[index], memory, gather);
        if (past) past->set_multiples(index, gather->multiples);
        memory += align64(gather->multiples_bytes());
    }
}

void Runtime::Impl::execute(std::size_t index) {
    const Op& op = program().ops[index];
    Plan& plan = plans[index];
    if (const auto* gather = std::get_if<GatherPlan>(&plan)) {
        run_gather(context, op, *gather);
    } else if (const auto* depthwise = std::get_if<DepthwisePlan>(&plan)) {
        run_depthwise(context, op, *depthwise);
    } else if (const auto* fire = std::get_if<FirePlan>(&plan)) {
        run_fire(context, op, *fire);
    } else {
        std::visit(
            [&](const auto& params) {
                using Params = std::decay_t<decltype(params)>;
                constexpr bool planned =
                    std::is_same_v<Params, Conv2d> || std::is_same_v<Params, Linear> || std::is_same_v<Params, Fire>;
                if constexpr (!planned) spk::run(context, op, params);
            },
            op.params);
    }
    context.events.forget(op.output);
}

void Runtime::Impl::update(std::size_t index) {
    past ? past->run(context, index, [&] { execute(index); }) : execute(index);
}

void Runtime::Impl::profile(std::size_t index, LayerProfile* layer) const {
    const Op& op = program().ops[index];
    if (const auto* gather = std::get_if<GatherPlan>(&plans[index])) return profile_gather(context, op, *gather, layer);
    if (const auto* depthwise = std::get_if<DepthwisePlan>(&plans[index])) {
        return profile_depthwise(context, op, *depthwise, layer);
    }
    const TensorView& out = context.tensor(op.output);
    kernels::CountArgs args{};
    args.in = context.data(out);
    args.count = static_cast<std::size_t>(out.size);
    out.dtype == Dtype::kUint8 ? context.kernels->count_u8(args) : context.kernels->count_i32(args);
    layer->elements += out.size;
    layer->nonzero += args.events;
    layer->bytes += out.bytes;
    for (const std::int32_t input : op.inputs) layer->bytes += context.tensor(input).bytes;
}

// Takes a layer's events from the budget before the layer runs.
Status Runtime::Impl::spend(std::size_t index, Budget* budget) {
    const Op& op = program().ops[index];
    if (budget == nullptr || !is_synapse(op)) return {};
    const std::uint64_t events = past ? past->events(context, index) : count_events(context, op);
    if (events > budget->max_events - budget->events) {
        budget->refused = events;
        return {Code::kBudget, "the run would take more events than its budget allows", Place::kOp,
                static_cast<std::int64_t>(index)};
    }
    budget->events += events;
    return {};
}

Status Runtime::Impl::run_phase(Phase phase, std::span<LayerProfile> layers, Budget* budget) {
    using Clock = std::chrono::steady_clock;
    for (std::size_t index = 0; index < program().ops.size(); ++index) {
        if (program().ops[index].phase != phase) continue;
        const Clock::time_point start = layers.empty() ? Clock::time_point{} : Clock::now();
        const Status spent = spend(index, budget);
        if (!spent.ok()) return spent;
        update(index);
        if (layers.empty()) continue;
        layers[index].seconds += std::chrono::duration<double>(Clock::now() - start).count();
        const auto count = [&] { profile(index, &layers[index]); };
        past ? past->profile(context, index, &layers[index], count) : count();
    }
    return {};
}

void Runtime::Impl::exchange(std::span<const InputBuffer> inputs, std::uint32_t t, std::uint32_t steps, bool time) {
    for (std::size_t i = 0; i < inputs.size(); ++i) {
        const PortInfo& port = model.inputs()[i];
        if (!used[i] || context.tensor(port.tensor).time != time) continue;
        const auto read = [&] { read_input(context, port, inputs[i], t, steps); };
        if (past) {
            past->renew(context, port.tensor, true, read);
        } else {
            read();
            context.events.forget(port.tensor);
        }
    }
}

void Runtime::Impl::deliver(std::span<const OutputBuffer> outputs, std::uint32_t t, std::uint32_t steps,
                            bool time) const {
    for (std::size_t i = 0; i < outputs.size(); ++i) {
        const PortInfo& port = model.outputs()[i];
        if (context.tensor(port.tensor).time == time) write_output(context, port, outputs[i], t, steps);
    }
}

Status Runtime::Impl::run(std::span<const InputBuffer> inputs, std::span<const OutputBuffer> outputs,
                          std::span<LayerProfile> layers, Budget* budget) {
    const Status checked = check_ports(context, model, inputs, outputs, true);
    if (!checked.ok()) return checked;
    if (budget != nullptr) budget->events = budget->refused = 0;
    clear_state();
    const Status ran = run_phases(inputs, outputs, layers, budget);
    clear_state();
    if (past) ran.ok() ? past->remember() : past->forget();
    return ran;
}

Status Runtime::Impl::run_phases(std::span<const InputBuffer> inputs, std::span<const OutputBuffer> outputs,
                                 std::span<LayerProfile> layers, Budget* budget) {
    exchange(inputs, 0, 1, false);
    Status ran = run_phase(Phase::kBefore, layers, budget);
    const std::uint32_t steps = program().timesteps;
    for (std::uint32_t t = 0; t < steps && ran.ok(); ++t) {
        context.restart_means = t == 0;
        exchange(inputs, t, steps, true);
        ran = run_phase(Phase::kLoop, layers, budget);
        if (ran.ok()) deliver(outputs, t, steps, true);
    }
    if (ran.ok()) ran = run_phase(Phase::kAfter, layers, budget);
    if (ran.ok()) deliver(outputs, 0, 1, false);
    return ran;
}

Runtime::Runtime() = default;
Runtime::Runtime(Runtime&&) noexcept = default;
Runtime& Runtime::operator=(Runtime&&) noexcept = default;
Runtime::~Runtime() = default;

MemoryPlan Runtime::memory(const Model& model, const Options& options) {
    std::optional<Past> past;
    if (options.incremental) past.emplace(model.program());
    return memory_of(model.program(), prepare(model.program(), options), options, past ? &*past : nullptr);
}

Status Runtime::create(const Model& model, std::span<std::byte> arena, const Options& options, Runtime* runtime) {
    if (!model) return {Code::kFormat, "the model is empty: open one first"};
    if (options.threads < 1 || options.threads > kMostThreads) return {Code::kRange, "threads must be in 1..256"};
    if (!options.choices.empty() && options.choices.size() != model.program().ops.size())
        return {Code::kShape, "expected a kernel for each operator, or none"};
    for (const KernelChoice& choice : options.choices) {
        if (!is_choice(choice)) return {Code::kRange, "no such kernel, or a block out of range"};
    }
    const std::string_view isa = wanted_isa(options);
    const kernels::Table* table = isa.empty() ? kernels::available()[0] : kernels::find(isa);
    if (table == nullptr) {
        return {Code::kUnsupported,
                "this build and CPU do not have the instruction set asked for (isa or PYSPIKE_ISA)"};
    }
    if (reinterpret_cast<std::uintptr_t>(arena.data()) % 64 != 0)
        return {Code::kMemory, "the arena is not aligned to 64 bytes"};
    const Status possible = options.incremental ? Past::possible(model.program()) : Status{};
    if (!possible.ok()) return possible;
    try {
        const Program& program = model.program();
        Prepared prepared = prepare(program, options);
        auto impl = std::make_unique<Impl>();
        if (options.incremental) impl->past.emplace(program);
        const MemoryPlan plan = memory_of(program, prepared, options, impl->past ? &*impl->past : nullptr);
        if (arena.size() < plan.total()) return {Code::kMemory, "the arena is too small"};
        impl->model = model;
        impl->plans = std::move(prepared.plans);
        for (const PortInfo& port : impl->model.inputs()) impl->used.push_back(is_used(program, port.tensor));
        impl->pool.emplace(options.threads);
        Context& context = impl->context;
        context.program = impl->past ? &impl->past->program() : &program;
        context.kernels = table;
        context.pool = &*impl->pool;
        context.arena = arena.data();
        std::byte* free = arena.data() + plan.arena + align64(kOverread);
        context.events = EventCache(free);
        if (impl->past) impl->past->start(context, std::move(prepared.differences));
        impl->make_multiples(free + prepared.events);
        context.thread_scratch = free + prepared.events + prepared.multiples;
        context.thread_scratch_bytes = prepared.piece;
        context.state = arena.data() + plan.arena + plan.scratch;
        impl->clear_state();
        runtime->impl_ = std::move(impl);
    } catch (...) {
        return {Code::kMemory, "out of memory or threads while a runtime was made"};
    }
    return {};
}

const Model& Runtime::model() const { return impl_->model; }
std::string_view Runtime::isa() const { return impl_->context.kernels->isa; }
std::uint32_t Runtime::threads() const { return impl_->pool->threads(); }

std::vector<KernelChoice> Runtime::choices() const {
    std::vector<KernelChoice> found;
    for (const Plan& plan : impl_->plans) {
        const auto* gather = std::get_if<GatherPlan>(&plan);
        if (gather == nullptr) {
            found.emplace_back();
        } else {
            found.push_back({name_of(gather->kernel), static_cast<std::uint32_t>(gather->chunk_rows)});
        }
    }
    return found;
}

std::uint32_t Runtime::timestep() const { return impl_->timestep; }

Status Runtime::run(std::span<const InputBuffer> inputs, std::span<const OutputBuffer> outputs, Budget* budget) {
    return impl_->run(inputs, outputs, {}, budget);
}

Status Runtime::profile(std::span<const InputBuffer> inputs, std::span<const OutputBuffer> outputs,
                        std::span<LayerProfile> layers, Budget* budget) {
    if (layers.size() != impl_->program().ops.size()) return {Code::kShape, "expected one entry for each operator"};
    std::fill(layers.begin(), layers.end(), LayerProfile{});
    return impl_->run(inputs, outputs, layers, budget);
}

Status Runtime::step(std::span<const InputBuffer> inputs, std::span<const OutputBuffer> outputs, Budget* budget) {
    Impl& impl = *impl_;
    const std::uint32_t most = impl.program().max_timesteps;
    if (most != 0 && impl.timestep >= most)
        return {Code::kRange, "the model is proven for max_timesteps only: reset the stream"};
    const Status checked = check_ports(impl.context, impl.model, inputs, outputs, false);
    if (!checked.ok()) return checked;
    if (budget != nullptr) {
        const Status saved = get_state(budget->undo);
        if (!saved.ok()) return {Code::kShape, "a step with a budget needs state_bytes() bytes of `undo`"};
        budget->events = budget->refused = 0;
    }
    impl.context.restart_means = true;
    if (impl.past) impl.past->forget();
    impl.exchange(inputs, 0, 1, false);
    impl.exchange(inputs, 0, 1, true);
    for (const Phase phase : {Phase::kBefore, Phase::kLoop, Phase::kAfter}) {
        const Status ran = impl.run_phase(phase, {}, budget);
        if (ran.ok()) continue;
        const Status undone = set_state(budget->undo);
        return undone.ok() ? ran : undone;
    }
    impl.deliver(outputs, 0, 1, false);
    impl.deliver(outputs, 0, 1, true);
    ++impl.timestep;
    return {};
}

namespace {

struct StateHeader {
    std::uint32_t timestep = 0, zero = 0;
};

}  // namespace

std::size_t Runtime::state_bytes() const { return sizeof(StateHeader) + impl_->program().state_bytes; }

Status Runtime::get_state(std::span<std::byte> state) const {
    if (state.size() != state_bytes()) return {Code::kShape, "the state has another size"};
    const StateHeader header{impl_->timestep, 0};
    std::memcpy(state.data(), &header, sizeof header);
    if (impl_->program().state_bytes != 0) {
        std::memcpy(state.data() + sizeof header, impl_->context.state, impl_->program().state_bytes);
    }
    return {};
}

Status Runtime::set_state(std::span<const std::byte> state) {
    if (state.size() != state_bytes()) return {Code::kShape, "the state has another size"};
    StateHeader header;
    std::memcpy(&header, state.data(), sizeof header);
    const std::uint32_t most = impl_->program().max_timesteps;
    if (header.zero != 0 || (most != 0 && header.timestep > most))
        return {Code::kRange, "these bytes are not a state of this model"};
    impl_->timestep = header.timestep;
    if (impl_->program().state_bytes != 0) {
        std::memcpy(impl_->context.state, state.data() + sizeof header, impl_->program().state_bytes);
    }
    return {};
}

void Runtime::reset() {
    impl_->clear_state();
    if (impl_->past) impl_->past->forget();
}

std::span<const std::string_view> available_isas() {
    static const auto names = [] {
        std::array<std::string_view, 8> list{};
        std::size_t count = 0;
        for (const kernels::Table* table : kernels::available()) list[count++] = table->isa;
        return std::pair(list, count);
    }();
    return {names.first.data(), names.second};
}

}  // namespace spk
