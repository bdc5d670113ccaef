// Functional coverage: cases that a campaign must reach, each a condition on signals of one module in one cycle.
/* verilator lint_off DECLFILENAME */
/* verilator lint_off UNUSED */  // a case looks at few fields of a record
package cases;

    import "DPI-C" function void watch_case(input string unit, input int number, input string name);
    import "DPI-C" function void watch_hits(input string unit, input bit [63:0] hits);

endpackage

`define CASE(NUMBER, NAME, CONDITION) \
    initial cases::watch_case(UNIT, NUMBER, NAME); \
    assign hits[NUMBER] = CONDITION;

`define CASES(NAME, COUNT) \
    localparam string UNIT = NAME; \
    logic [COUNT-1:0] hits; \
    always_ff @(posedge clk) if (!rst && hits != '0) cases::watch_hits(UNIT, 64'(hits));

module cover_core (
    input logic clk,
    input logic rst,
    input logic [5:0] here_x,
    input logic [5:0] here_y,
    input logic in_valid,
    input logic axon_full,
    input logic axon_empty,
    input logic axon_pop,
    input logic held,
    input logic ends,
    input logic readies,
    input logic hand_over,
    input logic engine_free,
    input logic issue,
    input logic real_issue,
    input logic storing,
    input logic forward,
    input logic fire_read,
    input logic fire_write,
    input logic step_over,
    input logic ready_pending,
    input logic ready_sent,
    input logic fire_holds,
    input flit::flit_t fire_flit,
    input logic out_full,
    input logic out_empty,
    input logic out_enters,
    input logic out_leaves,
    input flit::flit_t out_entering
);

    `CASES("core", 25)
    `CASE(0, "out FIFO full while fire holds an event", out_full && fire_holds && fire_flit.kind != flit::END)
    `CASE(1, "out FIFO full while fire holds an END", out_full && fire_holds && fire_flit.kind == flit::END)
    `CASE(2, "out FIFO full while a READY waits", out_full && ready_pending)
    `CASE(3, "READY delays an event of another tile", ready_sent && fire_holds && fire_flit.kind != flit::END)
    `CASE(4, "READY delays an END of another tile", ready_sent && fire_holds && fire_flit.kind == flit::END)
    `CASE(5, "out FIFO without credit", !out_empty && !out_leaves)
    `CASE(6, "out FIFO full and left, so entered a cycle later", out_full && out_leaves
        && (fire_holds || ready_pending))
    `CASE(7, "out FIFO entered and left in one cycle", out_enters && out_leaves)
    `CASE(8, "axon FIFO full", axon_full)
    `CASE(9, "axon FIFO pushed and popped in one cycle", in_valid && axon_pop)
    `CASE(10, "axon FIFO waits for the engine", !axon_empty && !axon_pop)
    `CASE(11, "flit to the own core", out_enters && out_entering.x == here_x && out_entering.y == here_y
        && out_entering.port != flit::EDGE_PORT)
    `CASE(12, "READY to the edge", out_enters && out_entering.kind == flit::READY
        && out_entering.port == flit::EDGE_PORT)
    `CASE(13, "counts to the edge", out_enters && out_entering.kind == flit::SPIKE
        && out_entering.port == flit::EDGE_PORT)
    `CASE(14, "potentials to the edge", out_enters && out_entering.kind == flit::POTENTIAL
        && out_entering.port == flit::EDGE_PORT)
    `CASE(15, "potentials to a core", out_enters && out_entering.kind == flit::POTENTIAL
        && out_entering.port != flit::EDGE_PORT)
    `CASE(16, "END with an offset in channels", out_enters && out_entering.kind == flit::END
        && out_entering.channel != '0)
    `CASE(17, "token in the decode stage while the engine issues", (ends || readies) && issue)
    `CASE(18, "END leaves before the last event's last issue", ends && issue && !engine_free)
    `CASE(19, "END leaves as an event's last issue is made", ends && issue && engine_free)
    `CASE(20, "event waits in the decode stage", held && !ends && !readies && !hand_over)
    `CASE(21, "engine reads the word that it writes", forward && real_issue)
    `CASE(22, "fire reads the word that the engine writes", forward && fire_read)
    `CASE(23, "fire clears a word in a cycle with a null issue", fire_write && issue && !real_issue)
    `CASE(24, "step over while the engine issues to another tile", step_over && real_issue)

endmodule

module cover_decode (
    input logic clk,
    input logic rst,
    input logic hand_over,
    input tables::work_t work,
    input tables::port_t port_record,
    input tables::tile_t tile_record,
    input logic none_y,
    input logic none_x,
    input logic [14:0] group,
    input flit::flit_t event_flit
);

    logic synapse, sums;
    logic [7:0] kernel;

    assign synapse = hand_over && !work.load;
    assign sums = synapse && !work.maximum && !work.none;
    assign kernel = port_record.kernel_y * port_record.kernel_x;

    `CASES("decode", 22)
    `CASE(0, "event outside the rows", synapse && none_y && !none_x)
    `CASE(1, "event outside the columns", synapse && none_x && !none_y)
    `CASE(2, "event of no channel of the tile", synapse && !none_x && !none_y && work.none)
    `CASE(3, "load", hand_over && work.load && !work.none)
    `CASE(4, "load outside the tile", hand_over && work.load && work.none)
    `CASE(5, "maximum", synapse && work.maximum && !work.none)
    `CASE(6, "maximum at several sites", synapse && work.maximum && !work.none && work.rows + work.columns > 0)
    `CASE(7, "dense", sums && port_record.inputs > 1 && group == '0)
    `CASE(8, "depthwise", sums && port_record.inputs == 1 && port_record.outputs == 1 && group > 0)
    `CASE(9, "grouped", sums && port_record.inputs > 1 && group > 0)
    `CASE(10, "group that begins inside the tile and inside a word", sums && work.low[3:0] != 0)
    `CASE(11, "port with a first channel", sums && port_record.channel != 0)
    `CASE(12, "stride 2 in y", sums && port_record.double_y && work.rows > 0)
    `CASE(13, "stride 2 in x", sums && port_record.double_x && work.columns > 0)
    `CASE(14, "strides 1 and 2", sums && port_record.double_x != port_record.double_y)
    `CASE(15, "negative padding", sums && (port_record.top[11] || port_record.left[11]))
    `CASE(16, "tile cuts off taps", sums && work.rows * work.columns > 0
        && 8'(work.rows + 11'd1) * 8'(work.columns + 11'd1) < kernel && !port_record.double_y && !port_record.double_x)
    `CASE(17, "all taps of a 3x3 kernel", sums && work.rows == 2 && work.columns == 2 && kernel == 9)
    `CASE(18, "unary, several repeats", sums && !work.bitwise && event_flit.value > 1)
    `CASE(19, "bitwise, several planes", sums && work.bitwise && (event_flit.value & (event_flit.value - 1)) != 0)
    `CASE(20, "bitwise, one plane that is not the lowest", sums && work.bitwise && event_flit.value > 1
        && (event_flit.value & (event_flit.value - 1)) == 0)
    `CASE(21, "tile away from the origin", sums && tile_record.y > 0 && tile_record.x > 0 && tile_record.channel > 0)

endmodule

module cover_engine (
    input logic clk,
    input logic rst,
    input logic active,
    input logic hand_over,
    input tables::work_t work,
    input tables::work_t next_work,
    input logic last_issue,
    input logic last_repeat,
    input logic fresh,
    input logic [10:0] word,
    input logic [10:0] last_word,
    input logic [tables::LANES-1:0] wanted,
    input logic [tables::WORD-1:0] old_word,
    input logic [tables::WORD-1:0] new_word
);

    // The issues that the event has made so far.
    logic [7:0] made;

    always_ff @(posedge clk)
        if (hand_over) made <= '0;
        else if (active && made != '1) made <= made + 8'd1;

    `CASES("engine", 14)
    `CASE(0, "null issue", active && work.none)
    `CASE(1, "null issues back to back", active && work.none && hand_over && next_work.none)
    `CASE(2, "events of one issue back to back", active && last_issue && made == 0 && !work.none && hand_over
        && !next_work.none)
    `CASE(3, "event of two issues and more, followed without a gap", active && last_issue && made > 0 && hand_over)
    `CASE(4, "event of more than 20 issues", active && last_issue && made >= 20)
    `CASE(5, "handed over to an empty engine", !active && hand_over)
    `CASE(6, "engine runs dry", active && last_issue && !hand_over)
    `CASE(7, "several channel words of a target", active && last_repeat && word != last_word && !work.none)
    `CASE(8, "repeat with a held weight", active && !fresh)
    `CASE(9, "some lanes only", active && !work.none && !work.load && !work.maximum && wanted != '1)
    `CASE(10, "all lanes", active && !work.none && wanted == '1)
    `CASE(11, "maximum keeps the old", active && !work.none && work.maximum && new_word == old_word)
    `CASE(12, "maximum takes the new", active && !work.none && work.maximum && new_word != old_word)
    `CASE(13, "issue that changes nothing", active && !work.none && !work.maximum && new_word == old_word)

endmodule

module cover_sequencer (
    input logic clk,
    input logic rst,
    input logic [tables::TILES-1:0] running,
    input logic [tables::TILES-1:0] complete,
    input logic [tables::TILES-1:0] can_start,
    input logic [tables::TILES-1:0] waiting,
    input logic [tables::TILE-1:0] chosen,
    input logic [15:0] numbers[tables::TILES],
    input tables::step_t chosen_step,
    input logic ends,
    input logic readies,
    input logic step_over,
    input tables::step_t fire_step,
    input logic ready_sent
);

    logic [tables::TILES-1:0] lower;
    assign lower = can_start & ((tables::TILES'(1) << chosen) - 1'b1);

    logic tie;
    always_comb begin
        tie = 1'b0;
        for (int k = 0; k < tables::TILES; k++)
            if (can_start[k] && can_start[chosen] && 3'(k) > chosen && numbers[k] == numbers[chosen]) tie = 1'b1;
    end

    `CASES("programs", 16)
    `CASE(0, "several steps startable", (can_start & (can_start - 1'b1)) != '0)
    `CASE(1, "a step is chosen before one of a lower tile", lower != '0)
    `CASE(2, "group without ports", step_over && fire_step.ends == '0)
    `CASE(3, "group of one END", step_over && fire_step.ends == 10'd1)
    `CASE(4, "group of several ENDs", step_over && fire_step.ends > 10'd1)
    `CASE(5, "complete group waits for READY", (running & complete & ~can_start) != '0)
    `CASE(6, "READYs of several tiles wait", (waiting & (waiting - 1'b1)) != '0)
    `CASE(7, "READY sent while another tile's wait", ready_sent && (waiting & (waiting - 1'b1)) != '0)
    `CASE(8, "a tile ends", step_over && fire_step.ending)
    `CASE(9, "a tile's next step follows", step_over && !fire_step.ending)
    `CASE(10, "END counts as a step is over", step_over && ends)
    `CASE(11, "READY counts as a step is over", step_over && readies)
    `CASE(12, "step without a destination", step_over && fire_step.destinations == '0)
    `CASE(13, "step of many destinations", step_over && fire_step.destinations[3])
    `CASE(14, "chosen step sends potentials", can_start != '0 && chosen_step.sends_drive)
    `CASE(15, "of equal steps the lower tile is chosen", tie)

endmodule

module cover_fire (
    input logic clk,
    input logic rst,
    input logic busy,
    input logic startable,
    input logic due,
    input logic read,
    input logic write,
    input logic clearing,
    input logic engine_issues,
    input logic engine_writes,
    input logic in_ends,
    input logic enters,
    input logic word_over,
    input logic last_word,
    input logic [15:0] sends,
    input logic [15:0] valid,
    input logic [7:0] site_wanted,
    input logic [127:0] wanted,
    input logic [127:0] flits,
    input logic [127:0] flits_left,
    input logic [7:0] ends,
    input logic [10:0] here_word,
    input logic step_over,
    input tables::step_t step_record,
    input tables::tile_t tile_record
);

    logic one_lane_wants_two;
    logic fires, was_over;
    logic [7:0] there;

    assign fires = read && !step_record.sends_drive;
    assign there = step_record.destinations;

    always_ff @(posedge clk) was_over <= step_over;

    always_comb begin
        one_lane_wants_two = 1'b0;
        for (int lane = 0; read && lane < 16; lane++)
            if ((wanted[lane*8+:8] & (wanted[lane*8+:8] - 8'd1)) != '0) one_lane_wants_two = 1'b1;
    end

    `CASES("fire", 30)
    `CASE(0, "word without a spike", fires && sends == '0)
    `CASE(1, "word with one spike", fires && sends != '0 && (sends & (sends - 16'd1)) == '0)
    `CASE(2, "word with several spikes", fires && (sends & (sends - 16'd1)) != '0 && sends != '1)
    `CASE(3, "word with 16 spikes", fires && sends == '1)
    `CASE(4, "OUTPUT of a word", read && step_record.sends_drive)
    `CASE(5, "word with lanes that are not valid", read && valid != '1)
    `CASE(6, "read waits for an issue", due && engine_issues)
    `CASE(7, "step taken and read in one cycle", !busy && startable && read)
    `CASE(8, "step taken while the engine issues", !busy && startable && engine_issues)
    `CASE(9, "spike for two destinations", read && one_lane_wants_two)
    `CASE(10, "window that excludes the site", read && (there & ~site_wanted) != '0)
    `CASE(11, "window that excludes a channel", read && sends != '0 && (wanted[7:0] != wanted[127:120]) && sends == '1)
    `CASE(12, "word with spikes that nobody wants", read && sends != '0 && wanted == '0 && there != '0)
    `CASE(13, "word cleared", write)
    `CASE(14, "word of more than 16 flits", read && $countones(wanted) > 16)
    `CASE(15, "a word's flits are held up", flits != '0 && !enters)
    `CASE(16, "clearing as a flit enters", write && enters)
    `CASE(17, "last flit after the clearing", !clearing && enters && !in_ends && word_over)
    `CASE(18, "word over as it is read", read && word_over)
    `CASE(19, "next word read after a flit", enters && !in_ends && word_over && !last_word)
    `CASE(20, "ladder for each channel", fires && step_record.per_channel)
    `CASE(21, "ladder for all channels", fires && !step_record.per_channel)
    `CASE(22, "eight thresholds", fires && step_record.count == 4'd8)
    `CASE(23, "one threshold", fires && step_record.count == 4'd1)
    `CASE(24, "biased", read && step_record.biased)
    `CASE(25, "maxima fired", fires && tile_record.maximum)
    `CASE(26, "several ENDs", in_ends && (ends & (ends - 8'd1)) != '0)
    `CASE(27, "a step follows in the next cycle", !busy && startable && was_over)
    `CASE(28, "last word holds no flit", word_over && last_word && flits == '0)
    `CASE(29, "words beyond the first of a site", read && here_word != '0)

endmodule

module cover_router (
    input logic clk,
    input logic rst,
    input logic [5:0] here_x,
    input logic [5:0] here_y,
    input logic [24:0] wants,    // input * 5 + output
    input logic [24:0] grants,   // output * 5 + input
    input logic [24:0] pointers  // output * 5 + input
);

    localparam int L = 0, N = 1, E = 2, S = 3, W = 4;

    // Of each output: who wants it, and whether somebody is granted.
    logic [24:0] wanted;
    logic [4:0] granted, starved;
    logic [2:0] most;
    logic is_edge;

    assign is_edge = here_x == '0 && here_y == '0;

    always_comb begin
        most = '0;
        for (int o = 0; o < 5; o++) begin
            for (int i = 0; i < 5; i++) wanted[o*5+i] = wants[i*5+o];
            granted[o] = grants[o*5+:5] != '0;
            starved[o] = wanted[o*5+:5] != '0 && !granted[o];
            if (3'($countones(wanted[o*5+:5])) > most) most = 3'($countones(wanted[o*5+:5]));
        end
    end

    // A head in a FIFO before the winner's in the order L N E S W also wanted the output.
    logic overtaken;
    always_comb begin
        overtaken = 1'b0;
        for (int o = 0; o < 5; o++)
            if (granted[o] && (wanted[o*5+:5] & (grants[o*5+:5] - 5'd1)) != '0) overtaken = 1'b1;
    end

    `CASES("router", 34)
    `CASE(0, "two inputs want one output", most == 3'd2)
    `CASE(1, "three inputs want one output", most == 3'd3)
    `CASE(2, "four inputs want one output", most == 3'd4)
    `CASE(3, "axon FIFO full: output L without credit", starved[L])
    `CASE(4, "output N without credit", starved[N])
    `CASE(5, "output E without credit", starved[E])
    `CASE(6, "output S without credit", starved[S])
    `CASE(7, "output W without credit", starved[W] && !is_edge)
    `CASE(8, "to the edge without credit", starved[W] && is_edge)
    `CASE(9, "host and others want one output", is_edge && ((wants[4*5+:5] & (wants[0*5+:5] | wants[1*5+:5]
        | wants[2*5+:5] | wants[3*5+:5])) != '0))
    `CASE(10, "three outputs granted in one cycle", $countones(granted) == 3)
    `CASE(11, "winner that is not the first in order", overtaken)
    `CASE(12, "the pointer's own input is granted", (grants & pointers) != '0)
    `CASE(13, "the pointer's input does not want", (granted != '0) && (grants & pointers) == '0)
    `CASE(14, "turn from x to y", (grants[N*5+:5] & 5'b10100) != '0 || (grants[S*5+:5] & 5'b10100) != '0)
    // An output is never granted to an input from its own side, so not all places of its pointer exist.
    `CASE(15, "grant of L, pointer at L", granted[L] && pointers[L*5+L])
    `CASE(16, "grant of L, pointer at N", granted[L] && pointers[L*5+N])
    `CASE(17, "grant of L, pointer at E", granted[L] && pointers[L*5+E])
    `CASE(18, "grant of L, pointer at S", granted[L] && pointers[L*5+S])
    `CASE(19, "grant of L, pointer at W", granted[L] && pointers[L*5+W])
    `CASE(20, "grant of N, pointer at L", granted[N] && pointers[N*5+L])
    `CASE(21, "grant of N, pointer at N", granted[N] && pointers[N*5+N])
    `CASE(22, "grant of N, pointer at S", granted[N] && pointers[N*5+S])
    `CASE(23, "grant of N, pointer at W", granted[N] && pointers[N*5+W])
    `CASE(24, "grant of S, pointer at L", granted[S] && pointers[S*5+L])
    `CASE(25, "grant of S, pointer at N", granted[S] && pointers[S*5+N])
    `CASE(26, "grant of S, pointer at E", granted[S] && pointers[S*5+E])
    `CASE(27, "grant of S, pointer at S", granted[S] && pointers[S*5+S])
    `CASE(28, "grant of E, pointer at L", granted[E] && pointers[E*5+L])
    `CASE(29, "grant of E, pointer at N", granted[E] && pointers[E*5+N])
    `CASE(30, "grant of W, pointer at L", granted[W] && pointers[W*5+L])
    `CASE(31, "grant of W, pointer at N", granted[W] && pointers[W*5+N])
    `CASE(32, "grant of W, pointer at S", granted[W] && pointers[W*5+S])
    `CASE(33, "grant of W to the edge, pointer at W", granted[W] && pointers[W*5+W])

endmodule

bind core cover_core coverage (.forward(accumulators.forward), .*);
bind decode cover_decode coverage (.*);
bind engine cover_engine coverage (.*);
bind sequencer cover_sequencer coverage (.chosen_step(step_words[chosen*tables::STEP_WIDTH+:tables::STEP_WIDTH]), .*);
bind fire cover_fire coverage (.*);
bind router cover_router coverage (
    .pointers({outputs[4].pointer, outputs[3].pointer, outputs[2].pointer, outputs[1].pointer, outputs[0].pointer}),
    .*
);
