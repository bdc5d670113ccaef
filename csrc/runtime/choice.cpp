#include "runtime/choice.hpp"

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <string_view>

#include "runtime/synapse.hpp"

namespace spk {
namespace {

std::optional<GatherKernel> wanted_kernel() {
    const char* environment = std::getenv("PYSPIKE_GATHER");
    const std::string_view name = environment == nullptr ? std::string_view{} : environment;
    if (name == "rows") return GatherKernel::kRows;
    if (name == "split") return GatherKernel::kSplit;
    if (name == "flat") return GatherKernel::kFlat;
    if (name == "folded") return GatherKernel::kFolded;
    return std::nullopt;
}

// Vector instructions of one output position, roughly, at the densities of trained networks.
struct Costs {
    static constexpr double kListEnd = 25;  // a branch that goes wrong, and what leads to it
    static constexpr double kScheduleList = 10, kScheduleSlot = 12, kSettleSlot = 12, kMultiple = 1.8;

    double lists, events, bits, slabs, planes, digits;

    Costs(const SynapseShape& shape, const EventGeometry& flat, const EventGeometry& folded) {
        const double rows = static_cast<double>(shape.kh) * shape.kw * shape.group_inputs;
        const bool pixels = flat.planes > 4;  // nearly all of them are events, of half their bits
        lists = static_cast<double>(shape.kh) * flat.group_blocks();
        events = pixels ? rows : rows * 0.2;
        bits = pixels ? flat.planes / 2.0 : 1.2;
        slabs = (shape.group_outputs + 63) / 64;
        planes = flat.planes;
        digits = folded.planes;
    }
    double flat() const {
        return planes * (lists * kScheduleList + kScheduleSlot) + slabs * (planes * kSettleSlot + events * bits);
    }
    // Two digits are looked up, without lists.
    double folded(double more_slabs) const {
        return (slabs + more_slabs) * digits * ((digits > 1 ? 0 : lists * kListEnd) + events * kMultiple);
    }
};

// Slabs of 32 and 16 outputs are added together by the flat kernel, and one after the other by the others.
bool ends_in_two_slabs(const SynapseShape& shape) { return shape.group_outputs % 64 > 32; }

}  // namespace

GatherKernel choose_kernel(const SynapseShape& shape, const TensorView& input, const TensorView& output, bool linear,
                           std::size_t multiples_left) {
    const EventGeometry folded = folded_geometry(shape, input, linear);
    const bool may_fold = can_fold(shape, input, linear) && multiples_bytes(shape, folded) <= multiples_left;
    const bool may_flatten = can_flatten(shape, input, output, linear);
    const std::optional<GatherKernel> wanted = wanted_kernel();
    if (wanted == GatherKernel::kFlat && may_flatten) return *wanted;
    if (wanted == GatherKernel::kFolded && may_fold) return *wanted;
    if (wanted == GatherKernel::kRows || wanted == GatherKernel::kSplit) return *wanted;
    if (!may_flatten) return may_fold ? GatherKernel::kFolded : GatherKernel::kSplit;
    const Costs costs(shape, flat_geometry(shape, input, linear), folded);
    const bool fold = may_fold && costs.folded(ends_in_two_slabs(shape) ? 1 : 0) < costs.flat();
    return fold ? GatherKernel::kFolded : GatherKernel::kFlat;
}

}  // namespace spk
