// The programs of a core's tiles: counts ENDs, keeps the READY bits, says which step can start, and sends READYs.
module sequencer (
    input logic clk,
    input logic rst,

    input logic [tables::TILE:0] tiles,  // how many the core has

    output logic [     tables::TILES*tables::STEP-1:0] step_address,  // each tile's current step
    input  logic [tables::TILES*tables::STEP_WIDTH-1:0] step_words,

    input logic                      ends,  // decode: an END for a tile, or a READY for a destination
    input logic [  tables::TILE-1:0] end_tile,
    input logic                      readies,
    input logic [tables::NUMBER-1:0] ready_number,

    output logic                    startable,  // some step can start; `chosen` is the tile of the first in order
    output logic [tables::TILE-1:0] chosen,
    input  logic [tables::TILE-1:0] fire_tile,
    output tables::step_t           fire_step,
    output logic [tables::STEP-1:0] fire_address,
    input  logic                    end_sent,   // fire's END to a destination has entered the out FIFO
    input  logic [             2:0] end_place,  // its place among those of the step
    input  logic                    step_over,

    output logic                        pending,  // a READY waits, for this entry of the producers' table
    output logic [tables::PRODUCER-1:0] producer_address,
    input  logic                        ready_sent
);

    localparam int TILES = tables::TILES;

    logic [63:0] ready;
    logic [TILES-1:0] running, complete, can_start, waiting;
    logic [15:0] numbers[TILES];
    logic [tables::PRODUCER-1:0] producers[TILES];
    logic [TILES*3-1:0] places;
    logic [tables::TILE-1:0] sender;
    logic [tables::NUMBER-1:0] cleared;

    for (genvar k = 0; k < TILES; k++) begin : programs
        assign step_address[k*tables::STEP+:tables::STEP] = {tables::TILE'(k), places[k*3+:3]};

        tile_program of_tile (
            .clk(clk),
            .rst(rst),
            .is_there((tables::TILE + 1)'(k) < tiles),
            .place(places[k*3+:3]),
            .current(step_words[k*tables::STEP_WIDTH+:tables::STEP_WIDTH]),
            .ready(ready),
            .end_counts(ends && end_tile == tables::TILE'(k)),
            .ready_sent(ready_sent && sender == tables::TILE'(k)),
            .step_over(step_over && fire_tile == tables::TILE'(k)),
            .running(running[k]),
            .complete(complete[k]),
            .can_start(can_start[k]),
            .number(numbers[k]),
            .waiting(waiting[k]),
            .producer(producers[k])
        );
    end

    // The least step number is taken, the lowest tile among equals.
    always_comb begin
        chosen = '0;
        for (int k = TILES - 1; k >= 0; k--)
            if (can_start[k] && (!can_start[chosen] || numbers[k] <= numbers[chosen])) chosen = tables::TILE'(k);
        startable = can_start != '0;
    end

    assign fire_step = step_words[fire_tile*tables::STEP_WIDTH+:tables::STEP_WIDTH];
    assign fire_address = {fire_tile, places[fire_tile*3+:3]};

    always_comb begin
        sender = '0;
        for (int k = TILES - 1; k >= 0; k--) if (waiting[k]) sender = tables::TILE'(k);
        pending = waiting != '0;
        producer_address = producers[sender];
    end

    assign cleared = fire_step.first_number + tables::NUMBER'(end_place);

    always_ff @(posedge clk) begin
        if (rst) ready <= '0;
        else begin
            if (readies) ready[ready_number] <= 1'b1;
            if (end_sent) ready[cleared] <= 1'b0;
        end
    end

endmodule
