// The program of one tile: which of its steps is current, and what that step still waits for.
module tile_program (
    input logic clk,
    input logic rst,

    input logic is_there,  // the core has this tile

    output logic [2:0]    place,  // of the current step
    /* verilator lint_off UNUSED */
    input  tables::step_t current,  // the rest of it is for fire
    /* verilator lint_on UNUSED */

    input logic [63:0] ready,       // READY bits of the core's destinations
    input logic        end_counts,
    input logic        ready_sent,  // one of the current group's READYs has entered the out FIFO
    input logic        step_over,

    output logic                        running,    // a step is left
    output logic                        complete,   // the group has all its ENDs
    output logic                        can_start,
    output logic [                15:0] number,     // of the step, in the order of waits
    output logic                        waiting,    // a READY of the group is still to be sent, to this producer:
    output logic [tables::PRODUCER-1:0] producer
);

    logic ended;
    logic [9:0] counted;
    logic [tables::PRODUCER-1:0] sent;

    assign running = is_there && !ended;
    assign complete = counted == current.ends;
    assign can_start = running && complete && (current.waits & ~ready) == '0;
    assign number = current.number;
    assign waiting = running && sent != current.producers;
    assign producer = current.first_producer + sent;

    always_ff @(posedge clk) begin
        if (rst) begin
            counted <= '0;
            place <= '0;
            ended <= 1'b0;
            sent <= '0;
        end else if (step_over) begin
            counted <= '0;
            place <= place + 3'd1;
            ended <= current.ending;
            sent <= '0;
        end else begin
            if (end_counts) counted <= counted + 10'd1;
            if (ready_sent) sent <= sent + 1'b1;
        end
    end

endmodule
