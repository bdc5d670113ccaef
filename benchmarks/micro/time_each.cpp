// Time of each kernel by itself, with the arguments of a typical layer, on every instruction set of this CPU:
//
//     time_each --benchmark_filter=gather
#include <benchmark/benchmark.h>

#include <string>
#include <type_traits>

#include "kernels/draw.hpp"
#include "kernels/registry.hpp"

namespace {

template <typename Args>
void add(const char* name, spk::kernels::Entry<Args> spk::kernels::Table::* entry,
         void (*draw_arguments)(spk::fuzz::Draw&, std::remove_const_t<Args>&)) {
    for (const auto* table : spk::kernels::available()) {
        const std::string full = std::string(name) + "/" + std::string(table->isa);
        benchmark::RegisterBenchmark(full.c_str(), [=](benchmark::State& state) {
            spk::fuzz::Draw draw({}, 1, true);
            std::remove_const_t<Args> drawn{};
            draw_arguments(draw, drawn);
            for (auto _ : state) {
                std::remove_const_t<Args> args = drawn;  // some return a result in theirs
                (table->*entry)(args);
                benchmark::ClobberMemory();
            }
        });
    }
}

}  // namespace

int main(int argc, char** argv) {
    using namespace spk::kernels;
#define SPK_KERNEL(name, Args) add<Args>(#name, &Table::name, &spk::fuzz::draw_##name);
#include "kernels/list.def"
#undef SPK_KERNEL
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
    benchmark::RunSpecifiedBenchmarks();
    benchmark::Shutdown();
}
