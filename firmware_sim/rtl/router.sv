// XY routing: x first, then y. The edge of the chip is west of router (0, 0).
/* verilator lint_off DECLFILENAME */
module xy_route (
    /* verilator lint_on DECLFILENAME */
    input logic [flit::COORDINATE-1:0] here_x,
    input logic [flit::COORDINATE-1:0] here_y,
    /* verilator lint_off UNUSED */
    input flit::flit_t head,  // only its destination matters
    /* verilator lint_on UNUSED */
    output logic [flit::PORTS-1:0] output_port  // one-hot
);

    always_comb begin
        output_port = '0;
        if (head.x < here_x) output_port[flit::W] = 1'b1;
        else if (head.x > here_x) output_port[flit::E] = 1'b1;
        else if (head.y < here_y) output_port[flit::N] = 1'b1;
        else if (head.y > here_y) output_port[flit::S] = 1'b1;
        else if (here_x == '0 && here_y == '0 && head.port == flit::EDGE_PORT) output_port[flit::W] = 1'b1;
        else output_port[flit::L] = 1'b1;
    end

endmodule

// A router of the mesh: five input FIFOs, XY routing, and per output a round-robin arbiter, a link register and credits.
//
// A head that is visible in cycle c and granted in c drives the output link in c+1, is written into the next FIFO at the
// end of c+1, and is visible there at c+2. The pop of an input FIFO is the credit it returns: the sender's register shows
// it one cycle later. Every index over ports runs L, N, E, S, W; flits of several ports lie side by side, L lowest.
module router #(
    parameter int DEPTH = 4,          // slots of an input FIFO; all routers of a mesh are equal
    parameter int LOCAL_CREDITS = 64  // slots of the FIFO behind output L, the core's axon FIFO
) (
    input logic clk,
    input logic rst,

    input logic [flit::COORDINATE-1:0] here_x,  // this router's place, constant
    input logic [flit::COORDINATE-1:0] here_y,

    input  logic [            flit::PORTS-1:0] in_valid,
    input  logic [flit::PORTS*flit::WIDTH-1:0] in_flit,
    output logic [            flit::PORTS-1:0] in_credit,

    output logic [            flit::PORTS-1:0] out_valid,
    output logic [flit::PORTS*flit::WIDTH-1:0] out_flit,
    input  logic [            flit::PORTS-1:0] out_credit
);

    localparam int PORTS = flit::PORTS;
    localparam int WIDTH = flit::WIDTH;

    logic [PORTS*WIDTH-1:0] heads;
    logic [PORTS*PORTS-1:0] wants;   // bit i * PORTS + o: the head of input i wants output o
    logic [PORTS*PORTS-1:0] grants;  // bit o * PORTS + i: output o takes the head of input i

    for (genvar i = 0; i < PORTS; i++) begin : inputs
        logic empty;
        logic [PORTS-1:0] output_port;
        /* verilator lint_off UNUSED */
        logic full;  // who sends holds a credit, so it is never pushed when full
        /* verilator lint_on UNUSED */

        fifo #(
            .WIDTH(WIDTH),
            .DEPTH(DEPTH)
        ) queue (
            .clk(clk),
            .rst(rst),
            .push(in_valid[i]),
            .push_word(in_flit[i*WIDTH+:WIDTH]),
            .pop(in_credit[i]),
            .head(heads[i*WIDTH+:WIDTH]),
            .full(full),
            .empty(empty)
        );

        xy_route route (
            .here_x(here_x),
            .here_y(here_y),
            .head(heads[i*WIDTH+:WIDTH]),
            .output_port(output_port)
        );

        assign wants[i*PORTS+:PORTS] = empty ? '0 : output_port;

        // A head wants one output, so at most one of these grants is given.
        always_comb begin
            in_credit[i] = 1'b0;
            for (int o = 0; o < PORTS; o++) in_credit[i] = in_credit[i] | grants[o*PORTS+i];
        end
    end

    for (genvar o = 0; o < PORTS; o++) begin : outputs
        localparam int CREDITS = o == flit::L ? LOCAL_CREDITS : DEPTH;
        localparam int COUNT = $clog2(CREDITS + 1);

        logic [COUNT-1:0] credits;  // slots behind this output that no flit has been granted
        logic [PORTS-1:0] pointer;  // one-hot: the input that is asked first
        logic [PORTS-1:0] requests;
        logic [2*PORTS-1:0] twice, first;
        logic [PORTS-1:0] winner;  // one-hot, or zero
        logic [WIDTH-1:0] granted;
        logic grant;

        assign grants[o*PORTS+:PORTS] = winner;

        always_comb begin
            for (int i = 0; i < PORTS; i++) requests[i] = wants[i*PORTS+o] && credits != '0;
            // Subtracting the pointer borrows up to the first request at or after it, the only bit of a request to fall.
            // The requests stand there twice, so that "after" goes round.
            twice = {requests, requests};
            first = twice & ~(twice - (2 * PORTS)'(pointer));
            winner = first[2*PORTS-1:PORTS] | first[PORTS-1:0];
            grant = winner != '0;
            granted = '0;
            for (int i = 0; i < PORTS; i++) granted = granted | (heads[i*WIDTH+:WIDTH] & {WIDTH{winner[i]}});
        end

        always_ff @(posedge clk) begin
            if (rst) begin
                credits <= COUNT'(CREDITS);
                pointer <= PORTS'(1);
                out_valid[o] <= 1'b0;
            end else begin
                credits <= credits - COUNT'(grant) + COUNT'(out_credit[o]);
                if (grant) pointer <= {winner[PORTS-2:0], winner[PORTS-1]};
                out_valid[o] <= grant;
            end
            if (grant) out_flit[o*WIDTH+:WIDTH] <= granted;
        end
    end

endmodule
