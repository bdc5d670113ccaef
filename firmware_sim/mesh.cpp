#include "mesh.hpp"

#include <algorithm>
#include <bit>

#include "trace.hpp"

namespace spk::chip {
namespace {

Side direction(const Router& router, const Flit& flit) {
    if (flit.x != router.x) return flit.x > router.x ? kEast : kWest;
    if (flit.y != router.y) return flit.y > router.y ? kSouth : kNorth;
    return flit.to_edge() ? kWest : kLocal;
}

Side opposite(Side side) {
    constexpr std::array<Side, kSides> kOpposite{kLocal, kSouth, kWest, kNorth, kEast};
    return kOpposite[side];
}

}  // namespace

Mesh::Mesh(const MeshShape& shape, Trace* trace, std::uint32_t band_count)
    : host_fifo(shape.router_fifo),
      cores_(shape.width * shape.height),
      band_number_(2 * cores_ + 1),
      latency_(2 + Cycle{shape.link_delay}),
      trace_(trace) {
    bands.assign(band_count, Band(2 * cores_ + 1));
    routers.resize(cores_);
    axon.assign(cores_, Fifo(shape.axon_fifo));
    out.assign(cores_, Fifo(shape.out_fifo));
    for (std::uint32_t core = 0; core < cores_; ++core) {
        Router& router = routers[core];
        router.x = static_cast<std::uint8_t>(core % shape.width);
        router.y = static_cast<std::uint8_t>(core / shape.width);
        router.in.fill(Fifo(shape.router_fifo));
        band_number_[core] = band_number_[cores_ + core] =
            static_cast<std::uint8_t>(router.y * band_count / shape.height);
    }
    for (std::uint32_t core = 0; core < cores_; ++core) {
        Router& router = routers[core];
        if (router.y > 0) link(core, kNorth, core - shape.width);
        if (router.x + 1u < shape.width) link(core, kEast, core + 1);
        if (router.y + 1u < shape.height) link(core, kSouth, core + shape.width);
        if (router.x > 0) link(core, kWest, core - 1);
        router.out[kLocal] = &axon[core];
        router.to[kLocal] = router.from[kLocal] = core;
    }
    routers[0].out[kWest] = &host_fifo;
    routers[0].to[kWest] = routers[0].from[kWest] = host();
}

void Mesh::link(std::uint32_t core, Side side, std::uint32_t neighbour) {
    Router& router = routers[core];
    router.out[side] = &routers[neighbour].in[opposite(side)];
    router.to[side] = router.from[side] = cores_ + neighbour;
    if (band_number_[core] == band_number_[neighbour]) return;
    bridges_.push_back(std::make_unique<Bridge>(router.out[side]->depth()));
    Bridge& bridge = *bridges_.back();
    bridge.end = router.out[side];
    bridge.sender = cores_ + core, bridge.receiver = cores_ + neighbour;
    router.out[side] = &bridge.slots;
    router.bridge[side] = &bridge;
    band_of(core).leaving.push_back(&bridge);
    band_of(neighbour).coming.push_back(&bridge);
}

// What comes from other bands, and the credits that they give back. The other end of a bridge does not change what is
// read here: flits are sent and FIFOs popped only while units are visited.
void Mesh::exchange(std::uint32_t band, Cycle now) {
    for (Bridge* bridge : bands[band].coming) {
        if (bridge->sent != now) continue;
        bridge->end->push(bridge->flit, now + latency_);
        wake(bridge->receiver, now + latency_);
    }
    for (Bridge* bridge : bands[band].leaving) {
        if (!bridge->end->popped_at(now)) continue;
        bridge->slots.pop(now);
        free_slot(bridge->slots, bridge->sender, now);
    }
}

Cycle Mesh::next_cycle() const {
    Cycle next = kNever;
    for (const Band& band : bands) next = std::min(next, band.wheel.next());
    return next;
}

Cycle Mesh::last_act() const {
    Cycle last = -1;
    for (const Band& band : bands) last = std::max(last, band.last_act);
    return last;
}

std::int64_t Mesh::flits_inside() const {
    std::int64_t inside = 0;
    for (const Band& band : bands) inside += band.sent - band.received;
    return inside;
}

void Mesh::route(std::uint32_t core, Cycle now) {
    Router& router = routers[core];
    std::array<std::uint32_t, kSides> wanted{};  // inputs that want an output
    std::uint32_t outputs = 0;
    Cycle next = kNever;
    for (std::uint32_t i = 0; i < kSides; ++i) {
        const Fifo& fifo = router.in[i];
        if (fifo.empty()) continue;
        if (fifo.head_visible() > now) {
            next = std::min(next, fifo.head_visible());
            continue;
        }
        const Side output = direction(router, fifo.head());
        wanted[output] |= 1u << i;
        outputs |= 1u << output;
    }
    for (; outputs != 0; outputs &= outputs - 1) {
        const auto output = static_cast<Side>(std::countr_zero(outputs));
        if (!has_credit(*router.out[output], cores_ + core, now)) continue;
        // The first at or after the pointer, in cyclic order.
        const std::uint32_t wants = wanted[output], after = wants >> router.pointer[output] << router.pointer[output];
        const auto input = static_cast<Side>(std::countr_zero(after != 0 ? after : wants));
        grant(core, input, output, now);
        const bool others = (wants & (wants - 1)) != 0;
        if (const Fifo& fifo = router.in[input]; others || !fifo.empty())
            next = std::min(next, others ? now + 1 : std::max(now + 1, fifo.head_visible()));
    }
    if (next != kNever) wake(cores_ + core, next);
}

void Mesh::grant(std::uint32_t core, Side input, Side output, Cycle now) {
    Router& router = routers[core];
    const Flit flit = router.in[input].head();
    router.in[input].pop(now);
    free_slot(router.in[input], router.from[input], now);
    router.out[output]->push(flit, now + latency_);
    if (Bridge* bridge = router.bridge[output]; bridge != nullptr) {
        bridge->flit = flit;
        bridge->sent = now;
    } else {
        wake(router.to[output], now + latency_);
    }
    router.pointer[output] = static_cast<std::uint8_t>((input + 1) % kSides);
    ++router.granted[output];
    act(core, now);
    if (trace_ != nullptr) trace_->grant(now, core, input, output, flit);
}

void Mesh::leave(std::uint32_t core, Cycle now) {
    Fifo& fifo = out[core];
    if (!fifo.visible(now)) return;
    Fifo& next = routers[core].in[kLocal];
    if (!has_credit(next, core, now)) return;
    next.push(fifo.head(), now + latency_);
    wake(cores_ + core, now + latency_);
    fifo.pop(now);
    act(core, now);
}

void Mesh::enter(std::uint32_t core, const Flit& flit, Cycle now) {
    out[core].push(flit, now + 1);
    ++band_of(core).sent;
    act(core, now);
    if (trace_ != nullptr) trace_->enter(now, core, flit);
}

Flit Mesh::receive(std::uint32_t core, Cycle now) {
    Fifo& fifo = axon[core];
    const Flit flit = fifo.head();
    fifo.pop(now);
    free_slot(fifo, cores_ + core, now);
    ++band_of(core).received;
    act(core, now);
    if (trace_ != nullptr) trace_->receive(now, core, flit);
    return flit;
}

bool Mesh::host_can_send(Cycle now) { return has_credit(routers[0].in[kWest], host(), now); }

void Mesh::host_send(const Flit& flit, Cycle now) {
    routers[0].in[kWest].push(flit, now + latency_);
    wake(cores_, now + latency_);
    ++band_of(host()).sent;
    ++host_sent;
    act(host(), now);
    if (trace_ != nullptr) trace_->host_send(now, flit);
}

Flit Mesh::host_receive(Cycle now) {
    const Flit flit = host_fifo.head();
    host_fifo.pop(now);
    free_slot(host_fifo, cores_, now);
    ++band_of(host()).received;
    ++host_received;
    act(host(), now);
    if (trace_ != nullptr) trace_->host_receive(now, flit);
    return flit;
}

void Mesh::free_slot(Fifo& fifo, std::uint32_t sender, Cycle now) {
    if (!fifo.sender_waits) return;
    fifo.sender_waits = false;
    wake(sender, now + 1);
}

// Where there is none, `sender` is visited again as soon as there is.
bool Mesh::has_credit(Fifo& fifo, std::uint32_t sender, Cycle now) {
    if (fifo.credit(now)) return true;
    if (fifo.popped_at(now)) {
        wake(sender, now + 1);
    } else {
        fifo.sender_waits = true;
    }
    return false;
}

}  // namespace spk::chip
