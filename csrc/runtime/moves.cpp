#include "runtime/moves.hpp"

#include <algorithm>

namespace spk {
namespace {

using Steps = std::array<std::ptrdiff_t, kMaxRank>;

// Bytes from one element to the next along each axis, row-major.
Steps steps_of(const TensorView& tensor) {
    Steps steps{};
    auto step = static_cast<std::ptrdiff_t>(element_bytes(tensor));
    for (int axis = tensor.rank - 1; axis >= 0; --axis) {
        steps[axis] = step;
        step *= tensor.dims[axis];
    }
    return steps;
}

// The steps of `tensor` broadcast to the axes of `target`, as in NumPy.
Steps broadcast_steps(const TensorView& tensor, const TensorView& target) {
    const Steps own = steps_of(tensor);
    Steps steps{};
    for (int axis = 0; axis < target.rank; ++axis) {
        const int from = axis - (target.rank - tensor.rank);
        if (from >= 0 && tensor.dims[from] != 1) steps[axis] = own[from];
    }
    return steps;
}

// Lays `in` over `out` along all axes of `shape`.
Walk over(const TensorView& shape, const std::byte* in, const Steps& in_steps, std::byte* out, const Steps& out_steps) {
    Walk steps;
    for (int axis = 0; axis < shape.rank; ++axis) steps.axis(shape.dims[axis], in_steps[axis], out_steps[axis]);
    steps.in = in;
    steps.out = out;
    return steps;
}

void broadcast(const Context& context, std::int32_t input, const TensorView& out, std::int32_t shift, Rule rule) {
    const TensorView& in = context.tensor(input);
    Walk steps = over(out, context.data(in), broadcast_steps(in, out), context.data(out), steps_of(out));
    steps.shift = shift;
    walk(context, steps, in.dtype, out.dtype, rule);
}

constexpr std::size_t kPiece = 65536;  // elements of one item of work: fewer are not worth a thread

}  // namespace

bool is_plain_add(const Program& program, const Op& op) {
    const TensorView& out = program.tensors[static_cast<std::size_t>(op.output)];
    return std::holds_alternative<Add>(op.params) && out.dtype == Dtype::kInt32 &&
           std::all_of(op.inputs.begin(), op.inputs.end(), [&](std::int32_t input) {
               const TensorView& in = program.tensors[static_cast<std::size_t>(input)];
               return in.dtype == Dtype::kInt32 && in.size == out.size;
           });
}

void run(Context& context, const Op& op, const Add& add) {
    const TensorView &a = context.tensor(op.inputs[0]), &b = context.tensor(op.inputs[1]),
                     &out = context.tensor(op.output);
    if (!is_plain_add(*context.program, op)) {
        broadcast(context, op.inputs[0], out, add.shifts[0], Rule::kSet);
        broadcast(context, op.inputs[1], out, add.shifts[1], Rule::kSum);
        return;
    }
    const auto add_elements = [&](std::size_t first, std::size_t count) {
        kernels::AddArgs args{};
        args.a = reinterpret_cast<const kernels::acc_t*>(context.data(a)) + first;
        args.b = reinterpret_cast<const kernels::acc_t*>(context.data(b)) + first;
        args.out = reinterpret_cast<kernels::acc_t*>(context.data(out)) + first;
        args.count = count;
        args.shift_a = add.shifts[0];
        args.shift_b = add.shifts[1];
        context.kernels->add_i32(args);
    };
    if (context.region != nullptr) {
        const Map map(out);
        context.pool->run(map.rows, [&](std::size_t row, std::uint32_t) {
            const Columns& columns = context.region->outputs[row];
            if (columns.empty()) return;
            add_elements((row * map.width + columns.first) * map.channels,
                         (columns.end - columns.first) * map.channels);
        });
        return;
    }
    context.pool->run((out.size + kPiece - 1) / kPiece, [&](std::size_t item, std::uint32_t) {
        add_elements(item * kPiece, std::min<std::size_t>(out.size - item * kPiece, kPiece));
    });
}

void run(Context& context, const Op& op, const Align& align) {
    const TensorView &in = context.tensor(op.inputs[0]), &out = context.tensor(op.output);
    context.pool->run((out.size + kPiece - 1) / kPiece, [&](std::size_t item, std::uint32_t) {
        const std::size_t first = item * kPiece;
        kernels::AlignArgs args{};
        args.in = context.data(in) + first * element_bytes(in);
        args.out = context.data(out) + first * element_bytes(out);
        args.count = std::min<std::size_t>(out.size - first, kPiece);
        args.shift = align.shift;
        const kernels::Table& table = *context.kernels;
        if (in.dtype == Dtype::kUint8) {
            table.align_u8_u8(args);
        } else {
            out.dtype == Dtype::kUint8 ? table.align_i32_u8(args) : table.align_i32_i32(args);
        }
    });
}

void run(Context& context, const Op& op, const Concat& concat) {
    const TensorView& out = context.tensor(op.output);
    const Steps out_steps = steps_of(out);
    std::byte* to = context.data(out);
    for (std::size_t i = 0; i < op.inputs.size(); ++i) {
        const TensorView& in = context.tensor(op.inputs[i]);
        Walk steps = over(in, context.data(in), steps_of(in), to, out_steps);
        steps.shift = concat.shifts[i];
        walk(context, steps, in.dtype, out.dtype, Rule::kSet);
        to += out_steps[concat.axis] * in.dims[concat.axis];
    }
}

// Every output starts at the input's least value; then each kernel position raises those whose window it meets inside
// the map.
void run(Context& context, const Op& op, const MaxPool& pool) {
    const TensorView &in = context.tensor(op.inputs[0]), &out = context.tensor(op.output);
    const Steps in_steps = steps_of(in), out_steps = steps_of(out);
    fill(context, out, in.lo);
    for (std::int32_t position = 0; position < pool.kernel[0] * pool.kernel[1]; ++position) {
        const std::int32_t k[2] = {position / pool.kernel[1], position % pool.kernel[1]};
        Walk steps;
        steps.in = context.data(in);
        steps.out = context.data(out);
        steps.axis(in.dims[0], in_steps[0], out_steps[0]);
        bool meets = true;
        for (int axis = 0; axis < 2; ++axis) {
            // Outputs o with 0 <= o * stride + start < size.
            const std::int32_t start = k[axis] - pool.padding[axis], stride = pool.stride[axis],
                               size = in.dims[axis + 1];
            const std::int32_t first = start >= 0 ? 0 : (-start + stride - 1) / stride;
            const std::int32_t end = start >= size ? 0 : std::min((size - 1 - start) / stride + 1, out.dims[axis + 1]);
            meets = meets && first < end;
            steps.axis(end - first, in_steps[axis + 1] * stride, out_steps[axis + 1]);
            steps.in += in_steps[axis + 1] * (std::ptrdiff_t{first} * stride + start);
            steps.out += out_steps[axis + 1] * first;
        }
        steps.axis(in.dims[3], in_steps[3], out_steps[3]);
        if (meets) walk(context, steps, in.dtype, out.dtype, Rule::kMax);
    }
}

void run(Context& context, const Op& op, const Upsample& upsample) {
    const TensorView &in = context.tensor(op.inputs[0]), &out = context.tensor(op.output);
    const Steps from = steps_of(in), to = steps_of(out);
    const std::int32_t fy = upsample.factor[0], fx = upsample.factor[1];
    Walk steps;
    steps.in = context.data(in);
    steps.out = context.data(out);
    steps.axis(in.dims[0], from[0], to[0]);
    steps.axis(in.dims[1], from[1], to[1] * fy);
    steps.axis(fy, 0, to[1]);
    steps.axis(in.dims[2], from[2], to[2] * fx);
    steps.axis(fx, 0, to[2]);
    steps.axis(in.dims[3], from[3], to[3]);
    walk(context, steps, in.dtype, out.dtype, Rule::kSet);
}

void run(Context& context, const Op& op, const Mean& mean) {
    const TensorView &in = context.tensor(op.inputs[0]), &out = context.tensor(op.output);
    if (mean.steps == 0 || context.restart_means) fill(context, out, 0);
    const Steps from = steps_of(in);
    Steps to{};
    auto step = static_cast<std::ptrdiff_t>(element_bytes(out));
    for (int axis = in.rank - 1; axis >= 0; --axis) {
        if (std::find(mean.axes.begin(), mean.axes.end(), axis) != mean.axes.end()) continue;
        to[axis] = step;
        step *= in.dims[axis];
    }
    walk(context, over(in, context.data(in), from, context.data(out), to), in.dtype, out.dtype, Rule::kSum);
}

void run(Context& context, const Op& op, const Slice& slice) {
    const TensorView &in = context.tensor(op.inputs[0]), &out = context.tensor(op.output);
    Steps from = steps_of(in);
    const std::byte* start = context.data(in);
    for (int axis = 0; axis < in.rank; ++axis) {
        start += from[axis] * slice.starts[axis];
        from[axis] *= slice.steps[axis];
    }
    walk(context, over(out, start, from, context.data(out), steps_of(out)), in.dtype, out.dtype, Rule::kSet);
}

void run(Context& context, const Op& op, const Reshape&) {
    const TensorView &in = context.tensor(op.inputs[0]), &out = context.tensor(op.output);
    const Steps steps = steps_of(in);
    walk(context, over(in, context.data(in), steps, context.data(out), steps), in.dtype, out.dtype, Rule::kSet);
}

void run(Context& context, const Op& op, const Transpose& transpose) {
    const TensorView &in = context.tensor(op.inputs[0]), &out = context.tensor(op.output);
    const Steps own = steps_of(in);
    Steps from{};
    for (int axis = 0; axis < out.rank; ++axis) from[axis] = own[transpose.order[axis]];
    walk(context, over(out, context.data(in), from, context.data(out), steps_of(out)), in.dtype, out.dtype, Rule::kSet);
}

void run(Context& context, const Op& op, const Expand&) {
    broadcast(context, op.inputs[0], context.tensor(op.output), 0, Rule::kSet);
}

void run(Context& context, const Op& op, const Pad& pad) {
    const TensorView &in = context.tensor(op.inputs[0]), &out = context.tensor(op.output);
    const Steps out_steps = steps_of(out);
    std::byte* to = context.data(out);
    for (int axis = 0; axis < out.rank; ++axis) to += out_steps[axis] * pad.before[axis];
    if (in.size != out.size) fill(context, out, pad.value);
    walk(context, over(in, context.data(in), steps_of(in), to, out_steps), in.dtype, out.dtype, Rule::kSet);
}

void run(Context& context, const Op& op, const Constant& constant) {
    const TensorView& out = context.tensor(op.output);
    Walk steps;
    steps.axis(static_cast<std::ptrdiff_t>(out.size), sizeof(std::int32_t),
               static_cast<std::ptrdiff_t>(element_bytes(out)));
    steps.in = reinterpret_cast<const std::byte*>(constant.values);
    steps.out = context.data(out);
    walk(context, steps, Dtype::kInt32, out.dtype, Rule::kSet);
}

}  // namespace spk
