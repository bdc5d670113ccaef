// The router among neighbours that respect credits: what docs/formal.md lists, for every place in the mesh.
//
// What is proved carries the name of its group: fifo_, credit_, grant_, path_, wait_, turn_. What only makes it inductive
// is called inv_. The model of routing and arbitration and the layout of a flit are written here a second time.
module router_proof #(
    parameter int DEPTH = 4,
    parameter int LOCAL_CREDITS = 64
) (
    input logic clk,
    input logic rst,
    input logic [4:0] send,
    input logic [4:0] take,
    input logic [5*flit::WIDTH-1:0] in_flit,
    input logic tag_a,
    input logic tag_b
);

    localparam int L = 0, N = 1, E = 2, S = 3, W = 4;
    localparam int FLIT = flit::WIDTH;
    localparam int COUNT = 7;     // bits of a number of flits
    localparam int PATIENCE = 4;  // bits of a receiver's delay
    localparam int AGE = 12;      // bits of a number of cycles

    (* anyconst *) logic [5:0] here_x, here_y;

    logic [4:0] in_valid, in_credit, out_valid, out_credit;
    logic [5*FLIT-1:0] out_flit;
    logic [5*COUNT-1:0] sender_credits, inside, stored;
    logic [5*PATIENCE-1:0] delay;

    router #(.DEPTH(DEPTH), .LOCAL_CREDITS(LOCAL_CREDITS)) dut (.*);
    neighbours #(.DEPTH(DEPTH), .COUNT(COUNT), .PATIENCE(PATIENCE)) around (.*);

    `include "probes.svh"

    initial assume (rst);

    // ---- (a) FIFOs neither overflow nor underflow, (b) credits are conserved.

    // Bit p of a vector is true where a property holds at port p.
    logic [4:0] room, filled, room_behind, conserved_in, conserved_out, consistent;

    for (genvar p = 0; p < 5; p++) begin : port
        localparam int BEHIND = p == L ? LOCAL_CREDITS : DEPTH;
        wire [COUNT-1:0] here = inside[p*COUNT+:COUNT];
        wire [COUNT-1:0] there = stored[p*COUNT+:COUNT];
        wire [7:0] end_sum = first[p*INDEX+:INDEX] + here;
        wire [7:0] slot = end_sum < DEPTH ? end_sum : end_sum - DEPTH;
        assign room[p] = !in_valid[p] || held[p*HELD+:HELD] < DEPTH;
        assign filled[p] = !in_credit[p] || held[p*HELD+:HELD] > 0;
        assign room_behind[p] = !out_valid[p] || there < BEHIND;
        assign conserved_in[p] = sender_credits[p*COUNT+:COUNT] + in_valid[p] + held[p*HELD+:HELD] == DEPTH;
        assign conserved_out[p] = out_credits[p*COUNT+:COUNT] + out_valid[p] + there == BEHIND;
        assign consistent[p] = held[p*HELD+:HELD] == here && here <= DEPTH && first[p*INDEX+:INDEX] < DEPTH
            && next[p*INDEX+:INDEX] == slot;
    end

    always_comb
        if (!rst) begin
            fifo_overflow: assert (&room);
            fifo_underflow: assert (&filled);
            fifo_behind: assert (&room_behind);
            credit_in: assert (&conserved_in);
            credit_out: assert (&conserved_out);
            inv_fifo: assert (&consistent);
        end

    // ---- Grants are those of the rule, and what follows from it.

    logic [5*3-1:0] exits, pointers;
    logic [24:0] wanted, winners;  // [o * 5 + i]: output o, input i
    logic [4:0] credit;
    logic [4:0] one_output, one_input, pops, busy, one_pointer;

    for (genvar i = 0; i < 5; i++) begin : head
        exit_rule rule (.word(heads[i*FLIT+:FLIT]), .port(exits[i*3+:3]), .*);
        wire [4:0] by = {grants[20+i], grants[15+i], grants[10+i], grants[5+i], grants[i]};
        assign one_output[i] = (by & (by - 5'd1)) == 0;
        assign pops[i] = in_credit[i] == (by != 0);
    end

    for (genvar o = 0; o < 5; o++) begin : out
        for (genvar i = 0; i < 5; i++) assign wanted[o*5+i] = inside[i*COUNT+:COUNT] != 0 && exits[i*3+:3] == o;
        // A credit is a slot behind the output that no flit is in, nor on its way to.
        assign credit[o] = stored[o*COUNT+:COUNT] + out_valid[o] < (o == L ? LOCAL_CREDITS : DEPTH);
        wire [4:0] to = grants[o*5+:5];
        wire [2:0] pointer = pointers[o*3+:3];
        grant_rule rule (.wanted(wanted[o*5+:5]), .credit(credit[o]), .pointer(pointers[o*3+:3]),
                         .winner(winners[o*5+:5]), .*);
        assign one_input[o] = (to & (to - 5'd1)) == 0;
        assign busy[o] = to != 0 || !credit[o] || wanted[o*5+:5] == 0;
        assign one_pointer[o] = pointer < 5 && asked_first[o*5+:5] == 5'd1 << pointer;
    end

    always_comb
        if (!rst) begin
            grant_in_turn: assert (grants == winners);
            grant_one_input: assert (&one_input);
            grant_one_output: assert (&one_output);
            grant_pops: assert (&pops);
            grant_wanted: assert ((grants & ~wanted) == 0);
            grant_given: assert (&busy);
            inv_grant: assert (&one_pointer);
        end

    // ---- (c) Nothing is dropped, duplicated, changed or reordered. Two flits are followed: any two.

    (* anyconst *) logic [FLIT-1:0] flit_a, flit_b;
    (* anyconst *) logic [2:0] in_a, in_b;
    logic [2:0] exit_a, exit_b;
    logic seen_a, seen_b, queued_a, queued_b, on_link_a, on_link_b;
    logic [COUNT-1:0] ahead_a, ahead_b;
    logic [AGE-1:0] age_a, age_b, head_age_a, head_age_b;

    always_comb assume (in_a < 5 && in_b < 5);
    wire enter_a = tag_a && !seen_a && in_valid[in_a] && in_flit[in_a*FLIT+:FLIT] == flit_a;
    wire enter_b = tag_b && !seen_b && in_valid[in_b] && in_flit[in_b*FLIT+:FLIT] == flit_b
        && (seen_a || (enter_a && in_a != in_b));

    exit_rule rule_a (.word(flit_a), .port(exit_a), .*);
    exit_rule rule_b (.word(flit_b), .port(exit_b), .*);
    followed_flit #(.COUNT(COUNT), .AGE(AGE)) a (
        .enter(enter_a), .before(inside[in_a*COUNT+:COUNT]), .pop(in_credit[in_a]), .seen(seen_a), .queued(queued_a),
        .on_link(on_link_a), .ahead(ahead_a), .age(age_a), .head_age(head_age_a), .*
    );
    followed_flit #(.COUNT(COUNT), .AGE(AGE)) b (
        .enter(enter_b), .before(inside[in_b*COUNT+:COUNT]), .pop(in_credit[in_b]), .seen(seen_b), .queued(queued_b),
        .on_link(on_link_b), .ahead(ahead_b), .age(age_b), .head_age(head_age_b), .*
    );

    // Where no other flit equals one of the two, they can be recognised at the outputs without counting.
    logic met_a, met_b;
    logic [2:0] popped;
    always_ff @(posedge clk) begin
        for (int i = 0; i < 5; i++) if (in_valid[i]) begin
            if (in_flit[i*FLIT+:FLIT] == flit_a && !(enter_a && i == in_a)) met_a <= 1'b1;
            if (in_flit[i*FLIT+:FLIT] == flit_b && !(enter_b && i == in_b)) met_b <= 1'b1;
        end
        if (rst) {met_a, met_b} <= '0;
        popped <= rst ? '0 : in_credit[0] + in_credit[1] + in_credit[2] + in_credit[3] + in_credit[4];
    end

    logic [4:0] link_a, link_b;                // A, or its like, is on the link of this output
    logic [4:0] heads_a, heads_b;
    logic [5*DEPTH-1:0] known_a, known_b;      // this slot holds A where it should, and no other slot does
    for (genvar i = 0; i < 5; i++) begin : side
        wire [INDEX-1:0] oldest = first[i*INDEX+:INDEX];
        assign link_a[i] = out_valid[i] && out_flit[i*FLIT+:FLIT] == flit_a;
        wire [FLIT-1:0] head = heads[i*FLIT+:FLIT];
        wire none = inside[i*COUNT+:COUNT] == 0;
        wire head_a = queued_a && i == in_a && ahead_a == 0;
        wire head_b = queued_b && i == in_b && ahead_b == 0;
        assign heads_a[i] = none || (head == flit_a ? head_a || met_a : !head_a);
        assign heads_b[i] = none || (head == flit_b ? head_b || met_b : !head_b);
        assign link_b[i] = out_valid[i] && out_flit[i*FLIT+:FLIT] == flit_b;
        for (genvar k = 0; k < DEPTH; k++) begin : slot
            wire [FLIT-1:0] word = contents[(i*DEPTH+k)*FLIT+:FLIT];
            wire [7:0] place = k >= oldest ? k - oldest : k + DEPTH - oldest;
            wire used = place < inside[i*COUNT+:COUNT];
            wire is_a = queued_a && i == in_a && place == ahead_a;
            wire is_b = queued_b && i == in_b && place == ahead_b;
            assign known_a[i*DEPTH+k] = !used || (word == flit_a ? is_a || met_a : !is_a);
            assign known_b[i*DEPTH+k] = !used || (word == flit_b ? is_b || met_b : !is_b);
        end
    end

    always_comb
        if (!rst) begin
            path_kept: assert (!on_link_a || (out_valid[exit_a] && out_flit[exit_a*FLIT+:FLIT] == flit_a));
            path_apart: assert (!on_link_a || !on_link_b || exit_a != exit_b);
            path_number: assert (out_valid[0] + out_valid[1] + out_valid[2] + out_valid[3] + out_valid[4] == popped);
            path_once: assert (met_a || link_a == (on_link_a ? 5'd1 << exit_a : 0));
            path_order: assert (met_b || in_a != in_b || exit_a != exit_b || !out_valid[exit_b]
                || out_flit[exit_b*FLIT+:FLIT] != flit_b || (seen_a && !queued_a && !on_link_a));
            inv_once: assert (met_b || link_b == (on_link_b ? 5'd1 << exit_b : 0));
            inv_slots_a: assert (&known_a);
            inv_slots_b: assert (&known_b);
            inv_heads: assert (&heads_a && &heads_b);
            inv_follow_state: assert (!(queued_a && on_link_a) && !(queued_b && on_link_b) && (seen_a || !seen_b)
                && (seen_a || !queued_a && !on_link_a) && (seen_b || !queued_b && !on_link_b));
            inv_follow_a: assert (!queued_a || ahead_a < inside[in_a*COUNT+:COUNT]);
            inv_follow_b: assert (!queued_b || ahead_b < inside[in_b*COUNT+:COUNT]);
            inv_follow_order: assert (in_a != in_b || !queued_b || !queued_a || ahead_a < ahead_b);
            inv_follow_gone: assert (in_a != in_b || !on_link_b || !queued_a && !on_link_a);
        end

    // ---- (e) No flit turns back or from y to x, and every flit sent is legal for the neighbour, which may then assume it.

    // What comes in by N or S has no way left in x, what comes in by E or W goes on, and the edge sends nothing to itself.
    function automatic logic legal(input logic [FLIT-1:0] f, input logic [2:0] port, input logic [5:0] x, input logic [5:0] y);
        case (port)
            N: legal = f[FLIT-3-:6] == x && f[FLIT-9-:6] >= y;
            S: legal = f[FLIT-3-:6] == x && f[FLIT-9-:6] <= y;
            E: legal = f[FLIT-3-:6] <= x;
            W: legal = f[FLIT-3-:6] >= x && !(x == 0 && y == 0 && f[FLIT-3-:20] == 255);
            default: legal = 1'b1;
        endcase
    endfunction

    wire origin = here_x == 0 && here_y == 0;
    logic [4:0] straight, x_first, next_legal;
    for (genvar i = 0; i < 5; i++) begin : turns
        wire [FLIT-1:0] f = heads[i*FLIT+:FLIT];
        wire lawful = legal(f, i, here_x, here_y);
        assign straight[i] = i == L || !lawful || !grants[i*5+i];
        assign x_first[i] = (i != N && i != S) || !lawful
            || !grants[E*5+i] && (!grants[W*5+i] || origin && f[FLIT-3-:20] == 255);
    end
    assign next_legal[L] = out_flit[(L+1)*FLIT-3-:12] == {here_x, here_y} && !(origin && out_flit[(L+1)*FLIT-15-:8] == 255);
    assign next_legal[N] = here_y != 0 && legal(out_flit[N*FLIT+:FLIT], S, here_x, here_y - 6'd1);
    assign next_legal[E] = legal(out_flit[E*FLIT+:FLIT], W, here_x + 6'd1, here_y);
    assign next_legal[S] = legal(out_flit[S*FLIT+:FLIT], N, here_x, here_y + 6'd1);
    assign next_legal[W] = here_x != 0 ? legal(out_flit[W*FLIT+:FLIT], E, here_x - 6'd1, here_y)
        : origin && out_flit[(W+1)*FLIT-3-:20] == 255;

    always_comb
        if (!rst) begin
            turn_back: assert (&straight);
            turn_y_to_x: assert (&x_first);
            turn_next: assert (&(~out_valid | next_legal));
        end

    // ---- (d) Every head is granted: after four grants to others at most, and with fair receivers in bounded time.

    (* anyconst *) logic fair;
    (* anyconst *) logic [PATIENCE-1:0] patience;  // a fair receiver that holds a flit takes one within so many cycles
    localparam int EMPTY = DEPTH == 1 || LOCAL_CREDITS == 1;  // all credits can be on one link
    wire [AGE-1:0] turn = patience + EMPTY;       // cycles without a credit, at most
    wire [AGE-1:0] head_bound = 5 * turn + 4;     // cycles that a head waits, at most
    wire [AGE-1:0] bound = DEPTH * (head_bound + 1) - 1;

    always_comb assume (patience > 0);
    logic [4:0] keeps;
    for (genvar o = 0; o < 5; o++) begin : receiver
        wire holds = stored[o*COUNT+:COUNT] != 0;
        wire [PATIENCE-1:0] waited = delay[o*PATIENCE+:PATIENCE];
        always_comb if (fair && holds && waited == patience - 1) assume (take[o]);
        assign keeps[o] = waited < patience && (holds || waited == 0);
    end
    always_comb if (!rst) inv_wait_fair: assert (!fair || &keeps);

    // Cycles until the head of A's input is granted, at most: those until a credit comes, and a turn for each input that
    // is asked before it. It falls in every cycle in which the head is not granted.
    wire [2:0] exit_head = exits[in_a*3+:3];
    wire [2:0] others = (in_a + 5 - pointers[exit_head*3+:3]) % 5;
    wire [AGE-1:0] no_credit = credit[exit_head] ? 0
        : stored[exit_head*COUNT+:COUNT] != 0 ? patience - delay[exit_head*PATIENCE+:PATIENCE] : patience + 1;
    wire [AGE-1:0] rank = no_credit + others * (turn + 1);

    logic [2:0] overtaken;  // grants that A's output gave to others while A was a head
    wire waits = queued_a && ahead_a == 0;
    always_ff @(posedge clk)
        if (!waits) overtaken <= 0;
        else if (grants[exit_a*5+:5] != 0 && !in_credit[in_a]) overtaken <= overtaken + 1;

    always_comb
        if (!rst && queued_a) begin
            wait_grants: assert (!waits || overtaken <= 4);
            wait_head: assert (!fair || !waits || head_age_a <= head_bound);
            wait_fifo: assert (!fair || age_a <= bound);
            inv_wait_grants: assert (waits ? overtaken + others <= 4 : overtaken == 0);
            inv_wait_head: assert (!fair || (waits ? head_age_a + rank <= head_bound : head_age_a == 0));
            inv_wait_fifo: assert (!fair || age_a + ahead_a * (head_bound + 1) + rank <= bound);
        end

    // ---- The neighbours allow what matters: these must be reachable.

    always_comb begin
        reach_five: cover (grants[4:0] != 0 && grants[9:5] != 0 && grants[14:10] != 0 && grants[19:15] != 0 && grants[24:20] != 0);
        reach_full: cover (inside == {5{COUNT'(DEPTH)}} && in_credit == 0);
        reach_last: cover (overtaken == 4 && waits && in_credit[in_a]);
        reach_both: cover (in_a == in_b && exit_a == exit_b && on_link_b && flit_a != flit_b && !met_a && !met_b);
        reach_fair: cover (fair && patience == 2 && waits && head_age_a == 8);
    end
endmodule
