// Arguments of the flat way: schedules, staged weights, running sums and what they come to.
#include "kernels/draw.hpp"
#include "kernels/lists.hpp"

namespace spk::fuzz {
namespace {

// Weights with their bias, of which `together` fit a byte.
void flat(Draw& draw, FlatArgs& args, std::size_t outputs, std::size_t together) {
    const std::size_t rows = draw.size(1, 40, 576), slots = draw.size(1, 12, 120);
    args.groups = draw.size(0, 30, 960);
    args.weights = draw.integers<std::uint8_t>("weights", rows * 64, 0, static_cast<std::int64_t>(255 / together));
    args.events = draw.integers<std::uint16_t>("events", args.groups * 8, 0, static_cast<std::int64_t>(rows) - 1);
    auto* slot_of = draw.array<std::uint16_t>("slots", args.groups);
    for (std::size_t group = 0; group < args.groups; ++group)
        slot_of[group] = static_cast<std::uint16_t>(group * slots / args.groups);
    args.slots = slot_of;
    args.sums = draw.output<std::int16_t>("sums", slots * outputs);
}

void settle(Draw& draw, SettleArgs& args, std::size_t outputs, std::size_t used) {
    args.pixels = draw.size(1, 12, 40);
    args.planes = draw.size(1, 8, 3);
    args.sums = draw.array<std::int16_t>("sums", args.pixels * args.planes * outputs);
    args.acc_step = (used + draw.size(0, 5, 0)) * sizeof(acc_t);
    args.acc = reinterpret_cast<acc_t*>(draw.output<std::int32_t>("acc", args.pixels * args.acc_step / sizeof(acc_t)));
    args.shift = draw.number(0, 20, 0);
    args.negate = draw.flag(false);
    args.add = draw.flag(false);
}

}  // namespace

void draw_schedule(Draw& draw, ScheduleArgs& args) {
    const std::size_t block = draw.size(1, 40, 64), width = draw.size(1, 24, 40), span = draw.size(1, 5, 3);
    const std::size_t low = draw.size(0, 2, 0), plane_step = width + 1 + draw.size(0, 3, 0);
    args.row_count = draw.size(0, 4, 3);
    args.planes = draw.size(1, 8, 3);
    args.pixels = draw.size(1, 12, 40);
    auto* rows = draw.array<ScheduleRow>("rows", args.row_count);
    for (std::size_t i = 0; i < args.row_count; ++i) {
        const Lists lists = lists_of(draw, width, block, low + args.planes, plane_step);
        const auto x = static_cast<std::ptrdiff_t>(draw.number(-6, 6, -1));
        const auto number = static_cast<std::uint16_t>(draw.bits());
        rows[i] = {lists.events, lists.offsets, x, static_cast<std::ptrdiff_t>(span), number};
    }
    args.rows = rows;
    args.width = static_cast<std::ptrdiff_t>(width);
    args.stride = static_cast<std::ptrdiff_t>(draw.size(1, 4, 1));
    args.plane_step = static_cast<std::ptrdiff_t>(plane_step * sizeof(std::uint32_t));
    args.top = args.plane_step * static_cast<std::ptrdiff_t>(low + args.planes - 1);
    args.number_step = static_cast<std::uint16_t>(static_cast<std::size_t>(args.stride) * block);
    args.zero_row = static_cast<std::uint16_t>(draw.bits());
    const std::size_t groups = args.pixels * args.planes * (args.row_count * span * block / 8 + 1);
    args.events = draw.output<std::uint16_t>("events", groups * 8 + kOverwrittenEvents);
    args.slots = draw.output<std::uint16_t>("slots", groups + kOverwrittenSlots);
}

void draw_stage(Draw& draw, StageArgs& args) {
    args.rows = draw.size(1, 20, 576);
    args.width = std::size_t{16} << draw.size(0, 2, 2);
    args.bias = static_cast<std::uint8_t>(128 >> draw.size(0, 3, 0));
    const auto* weights = draw.integers<std::int8_t>("weights", args.rows * args.width, -127, 127);
    args.weights = reinterpret_cast<const weight_t*>(weights);
    args.out = draw.output<std::uint8_t>("out", args.rows * 64);
}

#define SPK_DRAW(name, Args, body, ...) \
    void draw_##name(Draw& draw, Args& args) { body(draw, args, __VA_ARGS__); }

SPK_DRAW(flat_w64, FlatArgs, flat, 64, 1)
SPK_DRAW(flat_w32, FlatArgs, flat, 32, 1)
SPK_DRAW(flat_w16, FlatArgs, flat, 16, 1)
SPK_DRAW(flat2_w64, FlatArgs, flat, 64, 2)
SPK_DRAW(flat2_w32, FlatArgs, flat, 32, 2)
SPK_DRAW(flat2_w16, FlatArgs, flat, 16, 2)
SPK_DRAW(flat4_w64, FlatArgs, flat, 64, 4)
SPK_DRAW(flat4_w32, FlatArgs, flat, 32, 4)
SPK_DRAW(flat4_w16, FlatArgs, flat, 16, 4)
SPK_DRAW(flat8_w64, FlatArgs, flat, 64, 8)
SPK_DRAW(flat8_w32, FlatArgs, flat, 32, 8)
SPK_DRAW(flat8_w16, FlatArgs, flat, 16, 8)
SPK_DRAW(settle_w64, SettleArgs, settle, 64, 64)
SPK_DRAW(settle_w48, SettleArgs, settle, 64, 48)
SPK_DRAW(settle_w32, SettleArgs, settle, 32, 32)
SPK_DRAW(settle_w16, SettleArgs, settle, 16, 16)

}  // namespace spk::fuzz
