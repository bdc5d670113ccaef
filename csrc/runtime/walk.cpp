#include <algorithm>
#include <utility>

#include "runtime/moves.hpp"

namespace spk {
namespace {

constexpr std::size_t kShortRow = 8;      // rows as short as this are walked across
constexpr std::ptrdiff_t kPiece = 65536;  // elements that are worth a thread

using Entry = kernels::Entry<const kernels::CopyArgs>;

const Entry& kernel_of(const kernels::Table& table, Dtype in, Dtype out, Rule rule) {
    const bool bytes_in = in == Dtype::kUint8, bytes_out = out == Dtype::kUint8;
    switch (rule) {
        case Rule::kMax:
            return bytes_in ? table.max_u8 : table.max_i32;
        case Rule::kSum:
            if (bytes_in) return bytes_out ? table.sum_u8_u8 : table.sum_u8_i32;
            return bytes_out ? table.sum_i32_u8 : table.sum_i32_i32;
        default:
            if (bytes_in) return bytes_out ? table.copy_u8_u8 : table.copy_u8_i32;
            return bytes_out ? table.copy_i32_u8 : table.copy_i32_i32;
    }
}

// Axes of size 1 go, and axes that one step can cross merge.
void simplify(Walk* walk) {
    int kept = 0;
    for (int axis = 0; axis < walk->rank; ++axis) {
        if (walk->dims[axis] == 1) continue;
        const int last = kept - 1;
        if (kept > 0 && walk->in_steps[last] == walk->in_steps[axis] * walk->dims[axis] &&
            walk->out_steps[last] == walk->out_steps[axis] * walk->dims[axis]) {
            walk->dims[last] *= walk->dims[axis];
            walk->in_steps[last] = walk->in_steps[axis];
            walk->out_steps[last] = walk->out_steps[axis];
            continue;
        }
        walk->dims[kept] = walk->dims[axis];
        walk->in_steps[kept] = walk->in_steps[axis];
        walk->out_steps[kept] = walk->out_steps[axis];
        ++kept;
    }
    walk->rank = kept;
}

// The last two axes go to the kernel; one that is missing has size 1.
kernels::CopyArgs inner(const Walk& walk, std::size_t in_size, std::size_t out_size) {
    kernels::CopyArgs args{};
    args.shift = walk.shift;
    args.rows = args.count = 1;
    args.in_step = static_cast<std::ptrdiff_t>(in_size);
    args.out_step = static_cast<std::ptrdiff_t>(out_size);
    if (walk.rank >= 1) {
        const auto axis = static_cast<std::size_t>(walk.rank - 1);
        args.count = static_cast<std::size_t>(walk.dims[axis]);
        args.in_step = walk.in_steps[axis];
        args.out_step = walk.out_steps[axis];
    }
    if (walk.rank >= 2) {
        const auto axis = static_cast<std::size_t>(walk.rank - 2);
        args.rows = static_cast<std::size_t>(walk.dims[axis]);
        args.in_row = walk.in_steps[axis];
        args.out_row = walk.out_steps[axis];
    }
    if (args.count < kShortRow && args.count < args.rows) {
        std::swap(args.rows, args.count);
        std::swap(args.in_row, args.in_step);
        std::swap(args.out_row, args.out_step);
    }
    return args;
}

void walk_alone(const Entry& kernel, const Walk& walk, std::size_t in_size, std::size_t out_size) {
    kernels::CopyArgs args = inner(walk, in_size, out_size);
    args.in = walk.in;
    args.out = walk.out;
    const int outer = std::max(walk.rank - 2, 0);
    std::array<std::ptrdiff_t, kWalkRank> at{};
    for (;;) {
        kernel(args);
        int axis = outer - 1;
        for (; axis >= 0; --axis) {
            const auto i = static_cast<std::size_t>(axis);
            args.in = static_cast<const std::byte*>(args.in) + walk.in_steps[i];
            args.out = static_cast<std::byte*>(args.out) + walk.out_steps[i];
            if (++at[i] < walk.dims[i]) break;
            args.in = static_cast<const std::byte*>(args.in) - walk.in_steps[i] * walk.dims[i];
            args.out = static_cast<std::byte*>(args.out) - walk.out_steps[i] * walk.dims[i];
            at[i] = 0;
        }
        if (axis < 0) return;
    }
}

// Into how many pieces the first axis falls: one where its elements gather in the same place, or are few.
std::ptrdiff_t pieces_of(const Walk& walk) {
    if (walk.rank == 0 || walk.out_steps[0] == 0) return 1;
    std::ptrdiff_t elements = 1;
    for (int axis = 0; axis < walk.rank; ++axis) elements *= walk.dims[axis];
    return std::clamp<std::ptrdiff_t>(elements / kPiece, 1, walk.dims[0]);
}

}  // namespace

void walk(const Context& context, Walk walk, Dtype in, Dtype out, Rule rule) {
    simplify(&walk);
    const Entry& kernel = kernel_of(*context.kernels, in, out, rule);
    const std::ptrdiff_t pieces = pieces_of(walk);
    context.pool->run(static_cast<std::size_t>(pieces), [&](std::size_t item, std::uint32_t) {
        const auto piece = static_cast<std::ptrdiff_t>(item);
        const std::ptrdiff_t first = walk.dims[0] * piece / pieces, end = walk.dims[0] * (piece + 1) / pieces;
        Walk part = walk;
        if (pieces > 1) part.dims[0] = end - first;
        part.in += walk.in_steps[0] * first;
        part.out += walk.out_steps[0] * first;
        walk_alone(kernel, part, in == Dtype::kUint8 ? 1 : 4, out == Dtype::kUint8 ? 1 : 4);
    });
}

void fill(const Context& context, const TensorView& out, std::int32_t value) {
    const auto size = static_cast<std::ptrdiff_t>(element_bytes(out));
    Walk steps;
    steps.axis(static_cast<std::ptrdiff_t>(out.size), 0, size);
    steps.in = reinterpret_cast<const std::byte*>(&value);
    steps.out = context.data(out);
    walk(context, steps, Dtype::kInt32, out.dtype, Rule::kSet);
}

}  // namespace spk
