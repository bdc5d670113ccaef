// Finds objects in a photograph with a detection model:
//
//     detect cells.spk smear.ppm [threads] [class ...]
//
// prints one line for each: class, score, and the box (x1 y1 x2 y2) in pixels. A model's metadata names its classes
// (JSON, which `pyspike inspect` prints); here they come from the command line. Input size and strides follow from the
// model's shapes.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "ppm.hpp"
#include "spk/model.hpp"
#include "spk/runtime.hpp"
#include "spk/tasks.hpp"

namespace {

constexpr std::size_t kAlignment = 64;

// Memory for a model image or an arena.
struct Free {
    void operator()(std::byte* data) const { ::operator delete(data, std::align_val_t{kAlignment}); }
};
using Memory = std::unique_ptr<std::byte, Free>;

Memory allocate(std::size_t size) {
    return Memory(static_cast<std::byte*>(::operator new(size, std::align_val_t{kAlignment})));
}

int fail(const char* what, const spk::Status& status) {
    std::fprintf(stderr, "%s: %s", what, status.message());
    if (status.place() != spk::Place::kNone)
        std::fprintf(stderr, " (number %lld)", static_cast<long long>(status.number()));
    std::fputc('\n', stderr);
    return EXIT_FAILURE;
}

bool read_file(const char* path, Memory* bytes, std::size_t* size) {
    std::ifstream in(path, std::ios::binary | std::ios::ate);
    if (!in) return false;
    *size = static_cast<std::size_t>(in.tellg());
    *bytes = allocate(*size);
    in.seekg(0);
    return static_cast<bool>(in.read(reinterpret_cast<char*>(bytes->get()), static_cast<std::streamsize>(*size)));
}

// What the model's shapes say: [1, 3, H, W] or [1, H, W, 3] in, heads [1, 4 * bins + classes, H / stride, W / stride]
// out.
spk::DetectTask task_of(const spk::Model& model, std::vector<std::string> classes) {
    spk::DetectTask task;
    const auto& in = model.inputs()[0].shape.dims;
    task.channels_first = in[1] == 3;
    task.size = task.channels_first ? spk::Size{in[2], in[3]} : spk::Size{in[1], in[2]};
    task.classes = std::move(classes);
    task.confidence = 0.3, task.iou = 0.5;  // as the demo's metadata says
    for (const spk::PortInfo& head : model.outputs()) {
        task.strides.push_back(task.size.height / head.shape.dims[2]);
        task.reg_max = (head.shape.dims[1] - static_cast<std::int32_t>(task.classes.size())) / 4;
    }
    return task;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 3) {
        std::fprintf(stderr, "usage: %s model.spk photograph.ppm [threads] [class ...]\n", argv[0]);
        return EXIT_FAILURE;
    }
    Memory image;
    std::size_t size = 0;
    if (!read_file(argv[1], &image, &size)) return std::perror(argv[1]), EXIT_FAILURE;
    spk::Model model;
    if (const auto status = spk::Model::open({image.get(), size}, &model); !status.ok()) return fail(argv[1], status);

    Photograph photograph;
    if (!read_ppm(argv[2], &photograph)) {
        std::fprintf(stderr, "%s: no binary PPM image of 8 bits\n", argv[2]);
        return EXIT_FAILURE;
    }
    std::vector<std::string> classes(argv + std::min(argc, 4), argv + argc);
    if (classes.empty()) classes = {"RBC", "WBC", "Platelets"};

    const spk::Options options{argc > 3 ? static_cast<std::uint32_t>(std::atoi(argv[3])) : 1};
    const std::size_t bytes = spk::Runtime::memory(model, options).total();
    const Memory arena = allocate(bytes);
    spk::Runtime runtime;
    const auto created = spk::Runtime::create(model, {arena.get(), bytes}, options, &runtime);
    if (!created.ok()) return fail("runtime", created);

    std::vector<spk::Detection> found;
    const spk::DetectTask task = task_of(model, classes);
    const spk::Size source{photograph.height, photograph.width};
    const auto status = spk::detect(&runtime, task, photograph.pixels, source, &found);
    if (!status.ok()) return fail("detect", status);
    for (const spk::Detection& each : found) {
        std::printf("%s %.6f %.4f %.4f %.4f %.4f\n", task.classes[static_cast<std::size_t>(each.class_id)].c_str(),
                    each.score, each.box[0], each.box[1], each.box[2], each.box[3]);
    }
    return EXIT_SUCCESS;
}
