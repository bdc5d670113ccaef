// budget model.spk input.bin max_events...: a model of one input in time and one output, within each budget.
//
// Prints for a run, the same again, and the second step of a stream: code, place, number, events, refused; then what
// follows without a budget: the integers of a run, and whether the stream stands where it stood.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <memory>
#include <new>
#include <vector>

#include "spk/model.hpp"
#include "spk/runtime.hpp"

namespace {

using Bytes = std::vector<std::byte>;

struct Free {
    void operator()(std::byte* data) const { ::operator delete(data, std::align_val_t{64}); }
};
using Memory = std::unique_ptr<std::byte, Free>;

Memory allocate(std::size_t size) {
    return Memory(static_cast<std::byte*>(::operator new(size + 64, std::align_val_t{64})));
}

Bytes read_file(const char* path) {
    std::ifstream in(path, std::ios::binary);
    const std::vector<char> text{std::istreambuf_iterator<char>(in), {}};
    Bytes bytes(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) bytes[i] = static_cast<std::byte>(text[i]);
    return bytes;
}

void print(const char* what, const spk::Status& status, const spk::Budget& budget) {
    std::printf("%s %d %d %lld %llu %llu\n", what, static_cast<int>(status.code()), static_cast<int>(status.place()),
                static_cast<long long>(status.number()), static_cast<unsigned long long>(budget.events),
                static_cast<unsigned long long>(budget.refused));
}

void require(const spk::Status& status) {
    if (status.ok()) return;
    std::fprintf(stderr, "%s\n", status.message());
    std::exit(EXIT_FAILURE);
}

Bytes state_of(const spk::Runtime& runtime) {
    Bytes state(runtime.state_bytes());
    require(runtime.get_state(state));
    return state;
}

}  // namespace

int main(int argc, char** argv) {
    const Bytes file = read_file(argv[1]), x = read_file(argv[2]);
    const Memory image = allocate(file.size());
    std::copy(file.begin(), file.end(), image.get());
    spk::Model model;
    require(spk::Model::open({image.get(), file.size()}, &model));
    const spk::Options options{2, {}};
    const std::size_t size = spk::Runtime::memory(model, options).total();
    const Memory arena = allocate(size);
    spk::Runtime runtime;
    require(spk::Runtime::create(model, {arena.get(), size}, options, &runtime));

    std::vector<std::int32_t> y(model.outputs()[0].shape.elements()), step(model.outputs()[0].step_shape.elements());
    const std::size_t frame = model.inputs()[0].step_shape.elements();
    const spk::InputBuffer whole[] = {x}, first[] = {{x.data(), frame}}, second[] = {{x.data() + frame, frame}};
    const spk::OutputBuffer all[] = {y}, one[] = {step};
    for (int i = 3; i < argc; ++i) {
        spk::Budget budget{.max_events = std::strtoull(argv[i], nullptr, 10)};
        for (const char* what : {"run", "again"}) print(what, runtime.run(whole, all, &budget), budget);
        require(runtime.run(whole, all));
        for (const std::int32_t value : y) std::printf("%d ", value);

        require(runtime.step(first, one));
        const Bytes before = state_of(runtime);
        Bytes undo(runtime.state_bytes());
        print("\nwithout", runtime.step(second, one, &budget), {});
        budget.undo = undo;
        print("step", runtime.step(second, one, &budget), budget);
        std::printf("%s\n", state_of(runtime) == before ? "stands" : "went on");
        runtime.reset();
    }
    return EXIT_SUCCESS;
}
