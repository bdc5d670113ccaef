// The retire-level trace of docs/chip.md, one call of the harness per line, from the signals of the chip alone.
/* verilator lint_off DECLFILENAME */
package watcher;

    // `line`: place of the line's kind in the order of a cycle. `detail` of a grant: output * 5 + input.
    localparam int OUT = 0, GRANT = 1, AXON = 2, READ = 4, FIRE = 5, WRITE = 6;  // 3 is an issue

    import "DPI-C" function void watch_flit(
        input int x, input int y, input int line, input int detail, input bit [95:0] a_flit);
    import "DPI-C" function void watch_issue(
        input int x, input int y, input bit [95:0] a_flit, input int address, input bit [511:0] old_word,
        input bit [511:0] new_word);
    import "DPI-C" function void watch_word(
        input int x, input int y, input int line, input int tile, input int address, input bit [511:0] words);

endpackage

module trace_core (
    input logic clk,
    input logic rst,
    input logic [5:0] here_x,
    input logic [5:0] here_y,
    input logic out_enters,
    input logic [95:0] out_entering,
    input logic axon_pop,
    input logic [95:0] axon_head,
    input logic hand_over,
    input logic [95:0] event_flit,
    input logic issue,
    input logic real_issue,
    input logic [tables::POTENTIAL-1:0] issue_address,
    input logic [tables::WORD-1:0] read_word,
    input logic [tables::WORD-1:0] new_word,
    input logic fire_read,
    input logic fire_write,
    input logic [tables::TILE-1:0] fire_tile,
    input logic [tables::POTENTIAL-1:0] fire_address,
    input logic [tables::WORD-1:0] results
);

    import watcher::*;

    logic [95:0] issued;
    int x, y;

    assign x = 32'(here_x);
    assign y = 32'(here_y);

    always_ff @(posedge clk) begin
        if (hand_over) issued <= event_flit;
        if (!rst) begin
            if (out_enters) watch_flit(x, y, OUT, 0, out_entering);
            if (axon_pop) watch_flit(x, y, AXON, 0, axon_head);
            if (issue) watch_issue(x, y, issued, real_issue ? 32'(issue_address) : -1, read_word, new_word);
            if (fire_read) begin
                watch_word(x, y, READ, 0, 32'(fire_address), read_word);
                watch_word(x, y, FIRE, 32'(fire_tile), 32'(fire_address), results);
            end
            if (fire_write) watch_word(x, y, WRITE, 0, 32'(fire_address), '0);
        end
    end

endmodule

module trace_router (
    input logic clk,
    input logic rst,
    input logic [5:0] here_x,
    input logic [5:0] here_y,
    input logic [24:0] grants,
    input logic [5*96-1:0] heads
);

    import watcher::*;

    always_ff @(posedge clk)
        if (!rst)
            for (int o = 0; o < 5; o++)
                for (int i = 0; i < 5; i++)
                    if (grants[o*5+i]) watch_flit(32'(here_x), 32'(here_y), GRANT, o * 5 + i, heads[i*96+:96]);

endmodule

bind core trace_core trace (.*);
bind router trace_router trace (.*);
