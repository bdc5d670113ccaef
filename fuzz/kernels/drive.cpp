// Counts through seeds: fuzz_kernels [-runs=N] [-seed=N] [-kernel=NAME]
//
// Each run draws arguments of every kernel once (or of the one named), from a seed of its own; prints how many calls
// were compared on which instruction sets.
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "kernels/differ.hpp"
#include "kernels/registry.hpp"

int main(int argc, char** argv) {
    std::uint64_t runs = 1000, seed = 1, compared = 0;
    std::string_view only;
    for (int i = 1; i < argc; ++i) {
        if (std::strncmp(argv[i], "-runs=", 6) == 0) {
            runs = std::strtoull(argv[i] + 6, nullptr, 10);
        } else if (std::strncmp(argv[i], "-seed=", 6) == 0) {
            seed = std::strtoull(argv[i] + 6, nullptr, 10);
        } else if (std::strncmp(argv[i], "-kernel=", 8) == 0) {
            only = argv[i] + 8;
        } else {
            std::fprintf(stderr, "usage: %s [-runs=N] [-seed=N] [-kernel=NAME]\n", argv[0]);
            return EXIT_FAILURE;
        }
    }
    for (std::uint64_t run = seed; run < seed + runs; ++run) {
        for (std::size_t kernel = 0; kernel < spk::fuzz::kernel_names().size(); ++kernel) {
            if (!only.empty() && only != spk::fuzz::kernel_names()[kernel]) continue;
            spk::fuzz::differ(kernel, {}, run);
            ++compared;
        }
    }
    std::printf("%" PRIu64 " draws agree on", compared);
    for (const auto* table : spk::kernels::available())
        std::printf(" %.*s", static_cast<int>(table->isa.size()), table->isa.data());
    std::putchar('\n');
    return compared == 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
