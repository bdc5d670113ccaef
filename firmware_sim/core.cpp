#include "core.hpp"

#include <algorithm>

namespace spk::chip {

Core::Core(Shared& shared, const format::Core& core)
    : shared_(shared),
      core_(core),
      potentials_(memory_words(shared.firmware, core) * shared.firmware.chip.lanes),
      programs_(shared, core),
      engine_(shared, core, potentials_),
      fire_(shared, core, potentials_, engine_, programs_) {}

std::size_t Core::memory_words(const Firmware& firmware, const format::Core& core) {
    std::size_t end = 0;
    for (const format::Tile& tile : firmware.tiles.subspan(core.first_tile, core.tiles)) {
        end = std::max<std::size_t>(end, tile.base + firmware.words(tile));
        for (const format::Step& step : firmware.steps.subspan(tile.first_step, tile.steps)) {
            if (step.membrane != 0) end = std::max<std::size_t>(end, step.membrane - 1 + firmware.words(tile));
        }
    }
    return end;
}

void Core::visit(Cycle now) {
    settle(now);
    // All that the core sees of the cycle's start, before anything changes it.
    const bool full = shared_.mesh.out_full(core_.number);
    const bool issues = engine_.issues(now), stalls = full && fire_.under_way() && fire_.only_sends();
    const bool leaves = staged_ && (stage_.is_token() || engine_.last() <= now);
    if (leaves && stage_.kind != kReady) programs_.check(stage_, now);

    const bool ready = !full && send_ready(now);
    const bool fires = fire_.act(now, !full && !ready);
    shared_.mesh.leave(core_.number, now);
    decode(now, leaves);

    if (fires) shared_.mesh.act(core_.number, now);
    if (issues || (fires && !stalls)) {
        ++classes.busy;
    } else if (stalls) {
        ++classes.stalled;
    } else {
        // The programs as they were at the start: a step that ended in `now` was under way.
        ++(programs_.finished() ? classes.idle : classes.waiting);
    }
    settled_ = now + 1;
    if (const Cycle cycle = next(now); cycle != kNever) shared_.mesh.wake(core_.number, cycle);
}

// Between visits nothing but the engine changes anything.
void Core::settle(Cycle until) {
    if (settled_ >= until) return;
    const Cycle busy = std::clamp(engine_.last() + 1, settled_, until) - settled_, rest = until - settled_ - busy;
    classes.busy += busy;
    if (fire_.under_way()) {
        (fire_.only_sends() ? classes.stalled : classes.busy) += rest;
    } else {
        (programs_.finished() ? classes.idle : classes.waiting) += rest;
    }
    settled_ = until;
}

bool Core::send_ready(Cycle now) {
    if (!programs_.ready_pending()) return false;
    const Programs::Ready ready = programs_.next_ready();
    shared_.mesh.enter(core_.number, ready.flit, now);
    PortCounts& counts = shared_.ports[ready.port];
    ++counts.readies;
    shared_.count_hops(counts, core_.number, ready.flit);
    return true;
}

void Core::decode(Cycle now, bool leaves) {
    if (leaves) {
        staged_ = false;
        if (stage_.is_token()) {
            programs_.receive(stage_);
        } else {
            engine_.accept(stage_, now);
        }
    }
    if (!staged_ && shared_.mesh.axon[core_.number].visible(now)) {
        stage_ = shared_.mesh.receive(core_.number, now);
        staged_ = true;
        ++received;
    }
}

Cycle Core::next(Cycle now) const {
    const Fifo &axon = shared_.mesh.axon[core_.number], &out = shared_.mesh.out[core_.number];
    const bool full = shared_.mesh.out_full(core_.number);
    Cycle next = fire_.next(now, full);
    if (staged_) {
        next = std::min(next, stage_.is_token() ? now + 1 : std::max(now + 1, engine_.last()));
    } else if (!axon.empty()) {
        next = std::min(next, std::max(now + 1, axon.head_visible()));
    }
    // A head that could not leave waits for a credit, and whoever gives it wakes the core.
    const bool may_leave = !out.empty() && (out.head_visible() > now || out.popped_at(now));
    if (may_leave || (programs_.ready_pending() && !full)) next = std::min(next, now + 1);
    return next;
}

void Core::describe(std::vector<std::string>& lines, std::size_t limit) const {
    const std::size_t before = lines.size();
    programs_.describe(lines, limit);
    if (fire_.under_way() && lines.size() < limit) lines.push_back(fire_.describe());
    const Fifo &axon = shared_.mesh.axon[core_.number], &out = shared_.mesh.out[core_.number];
    if (lines.size() > before) {
        lines.back() += "; axon FIFO " + std::to_string(axon.size()) + " of " + std::to_string(axon.depth()) +
                        ", out FIFO " + std::to_string(out.size()) + " of " + std::to_string(out.depth()) +
                        (staged_ ? ", the decode stage holds a flit" : "");
    }
}

}  // namespace spk::chip
