#include "traffic.hpp"

#include <algorithm>

namespace spk::chip {
namespace {

class Traffic {
  public:
    Traffic(const MeshShape& shape, std::span<const Injection> injections)
        : mesh_(shape, nullptr),
          width_(shape.width),
          injections_(injections),
          waiting_(mesh_.cores()),
          next_(mesh_.cores()),
          passages_(injections.size()) {
        for (std::size_t i = 0; i < injections.size(); ++i) waiting_[injections[i].source].push_back(i);
        for (std::uint32_t core = 0; core < mesh_.cores(); ++core) {
            if (!waiting_[core].empty()) mesh_.wake(core, injections[waiting_[core][0]].cycle);
        }
    }

    TrafficResult run(Cycle end) {
        for (Cycle now; (now = mesh_.next_cycle()) < end;) {
            mesh_.visit(0, now, [&](std::uint32_t unit) {
                if (unit < mesh_.cores()) {
                    visit(unit, now);
                } else {
                    mesh_.route(unit - mesh_.cores(), now);
                }
            });
        }
        TrafficResult result{std::move(passages_), {}, mesh_.last_act() + 1};
        for (const Router& router : mesh_.routers) result.links.push_back(router.granted);
        return result;
    }

  private:
    void visit(std::uint32_t core, Cycle now) {
        const bool full = mesh_.out_full(core);
        Cycle next = kNever;
        if (next_[core] < waiting_[core].size()) {
            const std::size_t number = waiting_[core][next_[core]];
            const Injection& injection = injections_[number];
            if (injection.cycle <= now && !full) {
                mesh_.enter(core, flit_of(number), now);
                passages_[number].entered = now;
                ++next_[core];
            }
        }
        mesh_.leave(core, now);
        Fifo &axon = mesh_.axon[core], &out = mesh_.out[core];
        if (axon.visible(now)) passages_[static_cast<std::size_t>(number_of(mesh_.receive(core, now)))].popped = now;

        if (!axon.empty()) next = std::max(now + 1, axon.head_visible());
        if (!out.empty() && (out.head_visible() > now || out.popped_at(now))) next = now + 1;
        if (next_[core] < waiting_[core].size() && !mesh_.out_full(core))
            next = std::min(next, std::max(now + 1, injections_[waiting_[core][next_[core]]].cycle));
        if (next != kNever) mesh_.wake(core, next);
    }

    // Flits carry their number.
    Flit flit_of(std::size_t number) const {
        Flit flit;
        flit.x = static_cast<std::uint8_t>(injections_[number].destination % width_);
        flit.y = static_cast<std::uint8_t>(injections_[number].destination / width_);
        flit.value = static_cast<std::int32_t>(number);
        return flit;
    }
    static std::int32_t number_of(const Flit& flit) { return flit.value; }

    Mesh mesh_;
    std::uint32_t width_;
    std::span<const Injection> injections_;
    std::vector<std::vector<std::size_t>> waiting_;  // by core: its flits
    std::vector<std::size_t> next_;                  // how many of them have entered
    std::vector<Passage> passages_;
};

}  // namespace

TrafficResult simulate_traffic(const MeshShape& shape, std::span<const Injection> injections, Cycle max_cycles) {
    return Traffic(shape, injections).run(max_cycles > 0 ? max_cycles : kNever);
}

}  // namespace spk::chip
