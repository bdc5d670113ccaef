#include "runtime/neurons.hpp"

#include <algorithm>
#include <bit>
#include <limits>

namespace spk {
namespace {

constexpr std::size_t kPiece = 65536;  // elements of one item of work: fewer are not worth a thread

bool rows_alike(const Fire& fire) {
    for (std::int32_t row = 1; row < fire.rows; ++row) {
        if (!std::equal(fire.thresholds, fire.thresholds + fire.count,
                        fire.thresholds + std::size_t(row) * fire.count)) {
            return false;
        }
    }
    return true;
}

// n = (clamp(m, T_1 - 1, T_D) - T_1 >> shift) + 1 where T_k = T_1 + ((k - 1) << shift).
bool make_uniform(const Fire& fire, FirePlan* plan) {
    const std::int32_t* thresholds = fire.thresholds;
    const std::int64_t step = fire.count == 1 ? 1 : std::int64_t{thresholds[1]} - thresholds[0];
    const std::int64_t span = std::int64_t{thresholds[fire.count - 1]} - thresholds[0];
    if (step < 1 || !std::has_single_bit(static_cast<std::uint64_t>(step))) return false;
    if (span > std::numeric_limits<std::int32_t>::max() || thresholds[0] == std::numeric_limits<std::int32_t>::min())
        return false;
    for (std::int32_t k = 1; k < fire.count; ++k) {
        if (std::int64_t{thresholds[k]} - thresholds[k - 1] != step) return false;
    }
    plan->form = FirePlan::Form::kUniform;
    plan->first = thresholds[0];
    plan->last = thresholds[fire.count - 1];
    plan->shift = std::countr_zero(static_cast<std::uint64_t>(step));
    return true;
}

// One ladder for all channels.
void set_ladder(const Fire& fire, FirePlan* plan) {
    plan->thresholds.resize(static_cast<std::size_t>(fire.count));
    std::copy(fire.thresholds, fire.thresholds + fire.count, plan->thresholds.data());
}

std::int32_t last_axis(const TensorView& tensor) {
    return tensor.rank == 0 ? 1 : tensor.dims[static_cast<std::size_t>(tensor.rank - 1)];
}

void run_membrane(Context& context, const Op& op, const Fire& fire, const FirePlan& plan) {
    const TensorView &in = context.tensor(op.inputs[0]), &out = context.tensor(op.output);
    context.pool->run((out.size + kPiece - 1) / kPiece, [&](std::size_t item, std::uint32_t) {
        const std::size_t first = item * kPiece;
        kernels::MembraneArgs args{};
        args.drive = context.data(in) + first * element_bytes(in);
        args.stored = reinterpret_cast<kernels::acc_t*>(context.state + fire.state) + first;
        args.out = reinterpret_cast<std::uint8_t*>(context.data(out)) + first;
        args.count = std::min<std::size_t>(out.size - first, kPiece);
        args.thresholds = plan.thresholds.data();
        args.resets = plan.resets.data();
        args.threshold_count = static_cast<std::size_t>(fire.count);
        args.reset_zero = plan.reset_zero;
        args.guard = fire.guard;
        args.leak = fire.leak.data();
        args.leak_terms = fire.leak.size() / 2;
        args.hard = fire.hard_reset;
        in.dtype == Dtype::kUint8 ? context.kernels->membrane_u8(args) : context.kernels->membrane_i32(args);
    });
}

}  // namespace

FirePlan plan_fire(const Program& program, const Op& op) {
    const Fire& fire = *std::get_if<Fire>(&op.params);
    const auto count = static_cast<std::size_t>(fire.count);
    FirePlan plan;
    if (fire.membrane) {
        plan.form = FirePlan::Form::kMembrane;
        set_ladder(fire, &plan);
        plan.resets.assign(count, 0);
        if (fire.hard_reset || fire.reset == nullptr) return plan;
        plan.reset_zero = fire.reset[0];
        for (std::size_t k = 0; k < count; ++k) {
            const auto more = static_cast<std::uint32_t>(fire.reset[k + 1]) - static_cast<std::uint32_t>(fire.reset[k]);
            plan.resets[k] = static_cast<std::int32_t>(more);
        }
        return plan;
    }
    if (rows_alike(fire)) {
        if (!make_uniform(fire, &plan)) set_ladder(fire, &plan);
        return plan;
    }
    const auto channels = static_cast<std::size_t>(last_axis(program.tensors[static_cast<std::size_t>(op.output)]));
    plan.form = FirePlan::Form::kChannels;
    plan.row = (channels + AlignedIntegers::kLine - 1) / AlignedIntegers::kLine * AlignedIntegers::kLine;
    plan.thresholds.resize(count * plan.row);
    for (std::size_t k = 0; k < count; ++k) {
        std::int32_t* row = plan.thresholds.data() + k * plan.row;
        for (std::size_t c = 0; c < channels; ++c) row[c] = fire.thresholds[c * count + k];
    }
    return plan;
}

void run_fire(Context& context, const Op& op, const FirePlan& plan) {
    const Fire& fire = *std::get_if<Fire>(&op.params);
    if (plan.form == FirePlan::Form::kMembrane) return run_membrane(context, op, fire, plan);
    const TensorView &in = context.tensor(op.inputs[0]), &out = context.tensor(op.output);
    const bool by_channel = plan.form == FirePlan::Form::kChannels;
    const std::size_t channels = by_channel ? static_cast<std::size_t>(last_axis(out)) : 1;
    const std::size_t pixels = out.size / channels, piece = std::max<std::size_t>(kPiece / channels, 1);
    const bool bytes = in.dtype == Dtype::kUint8;
    const auto fire_pixels = [&](std::size_t first, std::size_t count) {
        kernels::FireArgs args{};
        args.in = context.data(in) + first * channels * element_bytes(in);
        args.out = reinterpret_cast<std::uint8_t*>(context.data(out)) + first * channels;
        args.pixels = by_channel ? count : 1;
        args.channels = by_channel ? channels : count;
        args.thresholds = plan.thresholds.data();
        args.step = plan.row * sizeof(std::int32_t);
        args.count = static_cast<std::size_t>(fire.count);
        args.first = plan.first;
        args.last = plan.last;
        args.shift = plan.shift;
        const kernels::Table& table = *context.kernels;
        switch (plan.form) {
            case FirePlan::Form::kUniform:
                bytes ? table.fire_uniform_u8(args) : table.fire_uniform_i32(args);
                break;
            case FirePlan::Form::kChannels:
                bytes ? table.fire_channels_u8(args) : table.fire_channels_i32(args);
                break;
            default:
                bytes ? table.fire_ladder_u8(args) : table.fire_ladder_i32(args);
                break;
        }
    };
    if (context.region != nullptr) {
        const Map map(out);
        const std::size_t column = by_channel ? 1 : map.channels;
        context.pool->run(map.rows, [&](std::size_t row, std::uint32_t) {
            const Columns& columns = context.region->outputs[row];
            if (columns.empty()) return;
            fire_pixels((row * map.width + columns.first) * column, (columns.end - columns.first) * column);
        });
        return;
    }
    context.pool->run((pixels + piece - 1) / piece, [&](std::size_t item, std::uint32_t) {
        fire_pixels(item * piece, std::min(pixels - item * piece, piece));
    });
}

}  // namespace spk
