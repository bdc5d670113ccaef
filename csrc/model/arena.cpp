#include "model/arena.hpp"

#include <algorithm>
#include <numeric>
#include <vector>

namespace spk {
namespace {

// First and last position in execution order at which a tensor must keep its value; inputs begin at -1.
struct Lifetime {
    std::int64_t begin = -1, end = -1;
    auto operator<=>(const Lifetime&) const = default;
    bool meets(const Lifetime& other) const { return begin <= other.end && other.begin <= end; }
};

struct Placed {
    std::uint64_t start, stop;
    Lifetime life;
    auto operator<=>(const Placed&) const = default;
};

std::uint64_t aligned(std::uint64_t size) {
    return (size + format::kAlignment - 1) / format::kAlignment * format::kAlignment;
}

// What crosses into the timestep loop lives until its end, a mean over time from its start, a graph output to the end.
std::vector<Lifetime> lifetimes(const Program& program, std::span<const std::int8_t> known) {
    std::vector<Lifetime> lives(program.tensors.size());
    const auto count = static_cast<std::int64_t>(program.ops.size());
    std::int64_t first_loop = 0, last_loop = -1;
    for (std::int64_t i = count - 1; i >= 0; --i) {
        if (program.ops[i].phase != Phase::kLoop) continue;
        first_loop = i;
        last_loop = std::max(last_loop, i);
    }
    for (std::int64_t i = 0; i < count; ++i) {
        const Op& op = program.ops[i];
        const bool over_time = op.phase == Phase::kLoop && known[op.output] == static_cast<std::int8_t>(Phase::kAfter);
        lives[op.output] = {over_time ? first_loop : i, i};
        for (const std::int32_t input : op.inputs) {
            const bool crosses = op.phase == Phase::kLoop && known[input] == static_cast<std::int8_t>(Phase::kBefore);
            lives[input].end = std::max(lives[input].end, crosses ? last_loop : i);
        }
    }
    for (const PortView& port : program.outputs) lives[port.tensor].end = count;
    return lives;
}

// The larger first, each at the lowest offset that is free for as long as it lives.
std::uint64_t plan(const std::vector<Lifetime>& lives, Program* program) {
    std::vector<std::size_t> order(program->tensors.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
        return program->tensors[a].bytes > program->tensors[b].bytes;
    });
    std::vector<Placed> placed;
    std::uint64_t arena_bytes = 0;
    for (const std::size_t number : order) {
        const std::uint64_t size = aligned(program->tensors[number].bytes);
        std::uint64_t offset = 0;
        for (const Placed& other : placed) {
            if (other.life.meets(lives[number]) && other.start < offset + size && offset < other.stop)
                offset = other.stop;
        }
        program->tensors[number].arena = offset;
        arena_bytes = std::max(arena_bytes, offset + size);
        const Placed now{offset, offset + size, lives[number]};
        placed.insert(std::upper_bound(placed.begin(), placed.end(), now), now);
    }
    return arena_bytes;
}

void mark_unread(const std::vector<Lifetime>& lives, Program* program) {
    for (PortView& port : program->inputs) port.read = lives[port.tensor].end >= 0;
}

// Membranes lie one after another in the order of their operators.
std::uint64_t place_membranes(Program* program) {
    std::uint64_t at = 0;
    for (Op& op : program->ops) {
        auto* fire = std::get_if<Fire>(&op.params);
        if (fire == nullptr || !fire->membrane) continue;
        fire->state = at;
        at += aligned(4 * program->tensors[op.output].size);
    }
    return at;
}

// A stream is as long as every membrane's range is proven for.
void bound_stream(Program* program) {
    if (program->max_timesteps != 0) return;
    for (const Op& op : program->ops) {
        const auto* fire = std::get_if<Fire>(&op.params);
        if (fire == nullptr || !fire->membrane || fire->steps == 0) continue;
        const auto steps = static_cast<std::uint32_t>(fire->steps);
        program->max_timesteps = program->max_timesteps == 0 ? steps : std::min(program->max_timesteps, steps);
    }
}

}  // namespace

Status place_tensors(const Image& image, std::span<const std::int8_t> known, Program* program) {
    const std::vector<Lifetime> lives = lifetimes(*program, known);
    program->arena_bytes = plan(lives, program);
    mark_unread(lives, program);
    program->state_bytes = place_membranes(program);
    for (std::size_t i = 0; i < program->tensors.size(); ++i) {
        if (image.tensors[i].arena != program->tensors[i].arena) {
            return {Code::kFormat, "a tensor lies elsewhere in the arena than planned", Place::kTensor,
                    static_cast<std::int64_t>(i)};
        }
    }
    if (image.model.arena_bytes != program->arena_bytes)
        return {Code::kFormat, "the arena has another size than planned"};
    if (image.model.state_bytes != program->state_bytes)
        return {Code::kFormat, "the membranes have another size than planned"};
    bound_stream(program);
    return {};
}

}  // namespace spk
