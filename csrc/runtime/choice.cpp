#include "runtime/choice.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <optional>
#include <string_view>

#include "runtime/synapse.hpp"

namespace spk {
namespace {

constexpr std::array<std::string_view, 5> kNames = {"rows", "split", "flat", "folded",
                                                    "scatter"};  // as in GatherKernel
constexpr std::uint32_t kMostBlock = 2560;  // whose events fit a schedule, and whose rows' places 16 bits

std::optional<GatherKernel> kernel_of(std::string_view name) {
    for (std::size_t i = 0; i < kNames.size(); ++i) {
        if (kNames[i] == name) return static_cast<GatherKernel>(i);
    }
    return std::nullopt;
}

std::optional<GatherKernel> wanted_kernel(const KernelChoice& wanted) {
    const char* environment = std::getenv("PYSPIKE_GATHER");
    const std::optional<GatherKernel> everywhere = kernel_of(environment == nullptr ? "" : environment);
    return everywhere ? everywhere : kernel_of(wanted.kernel);
}

// Cycles of one output position, roughly, at the densities of trained networks: fitted to measured layers.
struct Costs {
    const SynapseShape& shape;
    double lists, events, bits, planes, digits;

    Costs(const SynapseShape& layer, const EventGeometry& flat, const EventGeometry& folded) : shape(layer) {
        const double rows = static_cast<double>(shape.kh) * shape.kw * shape.group_inputs;
        const bool pixels = flat.planes > 4;  // nearly all of them are events, of half their bits
        lists = static_cast<double>(shape.kh) * flat.group_blocks();
        events = pixels ? rows : rows * 0.3;
        bits = pixels ? flat.planes / 2.0 : 1.2;
        planes = flat.planes;
        digits = folded.planes;
    }
    // All outputs share a schedule; each panel adds its groups, and settles each plane.
    double flat() const {
        const std::int32_t panels = (shape.group_outputs + 63) / 64;
        return planes * (lists * 10 + 12) + panels * (planes * 12 + events * bits * 1.3);
    }
    // Each slab walks the lists; multiples have two bytes a lane. Two digits are looked up, without lists.
    double folded() const {
        double total = 0;
        for (std::int32_t left = shape.group_outputs; left > 0;) {
            const std::int32_t width = left >= 64 ? 64 : left >= 32 ? 32 : 16;
            total += digits * ((digits > 1 ? 0 : 30 + lists * 15) + events * (0.9 + width / 40.0));
            left -= width;
        }
        return total;
    }
};

}  // namespace

std::string_view name_of(GatherKernel kernel) {
    const GatherKernel wished = kernel == GatherKernel::kLookup ? GatherKernel::kFolded : kernel;  // a form of it
    return kNames[static_cast<std::size_t>(wished)];
}

bool is_choice(const KernelChoice& wanted) {
    return (wanted.kernel.empty() || kernel_of(wanted.kernel)) && wanted.block <= kMostBlock;
}

GatherKernel choose_kernel(const SynapseShape& shape, const TensorView& input, const TensorView& output, bool linear,
                           std::size_t multiples_left, bool whole, const KernelChoice& choice) {
    const EventGeometry folded = folded_geometry(shape, input, linear);
    const bool may_fold = can_fold(shape, input, linear) && multiples_bytes(shape, folded) <= multiples_left;
    const bool may_scatter =
        whole && can_scatter(shape, input, output, linear) && scatter_bytes(shape, folded) <= multiples_left;
    const bool may_flatten = can_flatten(shape, input, output, linear, chunk_rows(choice));
    const std::optional<GatherKernel> wanted = wanted_kernel(choice);
    if (wanted == GatherKernel::kFlat && may_flatten) return *wanted;
    if (wanted == GatherKernel::kFolded && may_fold) return *wanted;
    if (wanted == GatherKernel::kRows || wanted == GatherKernel::kSplit) return *wanted;
    if (may_scatter) return GatherKernel::kScatter;
    if (!may_flatten) return may_fold ? GatherKernel::kFolded : GatherKernel::kSplit;
    const Costs costs(shape, flat_geometry(shape, input, linear), folded);
    const bool fold = may_fold && costs.folded() < costs.flat();
    return fold ? GatherKernel::kFolded : GatherKernel::kFlat;
}

}  // namespace spk
