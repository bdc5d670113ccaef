// All tables of a core but the potentials, and the port through which the loader writes them.
module storage (
    input logic clk,

    input logic             load,
    input tables::memory_t  load_memory,
    /* verilator lint_off UNUSED */
    input logic      [15:0] load_address,
    input logic     [511:0] load_word,
    /* verilator lint_on UNUSED */

    input  logic [tables::TILE-1:0] event_tile,
    output tables::tile_t           event_tile_record,
    input  logic [tables::TILE-1:0] fire_tile,
    output tables::tile_t           fire_tile_record,

    input  logic [tables::PORT-1:0] port,
    output tables::port_t           port_record,

    input  logic [      tables::TILES*tables::STEP-1:0] step_address,
    output logic [tables::TILES*tables::STEP_WIDTH-1:0] step_words,

    input  logic [                                      tables::STEP-1:0] fire_step,
    output logic [tables::DESTINATIONS*tables::DESTINATION_WIDTH-1:0] destination_words,

    input  logic [tables::PRODUCER-1:0] producer_address,
    output tables::producer_t           producer,

    input  logic [             tables::CONSTANT-1:0] ladder_address,
    output logic [tables::LADDER*tables::WORD-1:0] ladder_words,
    input  logic [             tables::CONSTANT-1:0] bias_address,
    output logic [               tables::WORD-1:0] bias_word,

    input  logic [ tables::WEIGHT-1:0] weight_address,
    output logic [tables::LANES*8-1:0] weight_word,
    input  logic [  tables::SHIFT-1:0] shift_address,
    output logic [tables::LANES*5-1:0] shift_word
);

    logic [2*tables::TILE_WIDTH-1:0] tile_words;

    assign {fire_tile_record, event_tile_record} = tile_words;

    sram #(
        .WIDTH(tables::TILE_WIDTH),
        .ADDRESS(tables::TILE),
        .READS(2)
    ) tile_memory (
        .clk(clk),
        .write(load && load_memory == tables::LOAD_TILE),
        .write_address(load_address[tables::TILE-1:0]),
        .write_word(load_word[tables::TILE_WIDTH-1:0]),
        .read_address({fire_tile, event_tile}),
        .read_word(tile_words)
    );

    sram #(
        .WIDTH(tables::STEP_WIDTH),
        .ADDRESS(tables::STEP),
        .READS(tables::TILES)
    ) step_memory (
        .clk(clk),
        .write(load && load_memory == tables::LOAD_STEP),
        .write_address(load_address[tables::STEP-1:0]),
        .write_word(load_word[tables::STEP_WIDTH-1:0]),
        .read_address(step_address),
        .read_word(step_words)
    );

    sram #(
        .WIDTH(tables::PORT_WIDTH),
        .ADDRESS(tables::PORT)
    ) port_memory (
        .clk(clk),
        .write(load && load_memory == tables::LOAD_PORT),
        .write_address(load_address[tables::PORT-1:0]),
        .write_word(load_word[tables::PORT_WIDTH-1:0]),
        .read_address(port),
        .read_word(port_record)
    );

    for (genvar k = 0; k < tables::DESTINATIONS; k++) begin : destinations
        sram #(
            .WIDTH(tables::DESTINATION_WIDTH),
            .ADDRESS(tables::STEP)
        ) memory (
            .clk(clk),
            .write(load && load_memory == tables::LOAD_DESTINATION && load_address[2:0] == 3'(k)),
            .write_address(load_address[tables::STEP+2:3]),
            .write_word(load_word[tables::DESTINATION_WIDTH-1:0]),
            .read_address(fire_step),
            .read_word(destination_words[k*tables::DESTINATION_WIDTH+:tables::DESTINATION_WIDTH])
        );
    end

    sram #(
        .WIDTH(tables::PRODUCER_WIDTH),
        .ADDRESS(tables::PRODUCER)
    ) producer_memory (
        .clk(clk),
        .write(load && load_memory == tables::LOAD_PRODUCER),
        .write_address(load_address[tables::PRODUCER-1:0]),
        .write_word(load_word[tables::PRODUCER_WIDTH-1:0]),
        .read_address(producer_address),
        .read_word(producer)
    );

    for (genvar k = 0; k < tables::LADDER; k++) begin : ladders
        sram #(
            .WIDTH(tables::WORD),
            .ADDRESS(tables::CONSTANT)
        ) memory (
            .clk(clk),
            .write(load && load_memory == tables::LOAD_LADDER && load_address[2:0] == 3'(k)),
            .write_address(load_address[tables::CONSTANT+2:3]),
            .write_word(load_word),
            .read_address(ladder_address),
            .read_word(ladder_words[k*tables::WORD+:tables::WORD])
        );
    end

    sram #(
        .WIDTH(tables::WORD),
        .ADDRESS(tables::CONSTANT)
    ) bias_memory (
        .clk(clk),
        .write(load && load_memory == tables::LOAD_BIAS),
        .write_address(load_address[tables::CONSTANT-1:0]),
        .write_word(load_word),
        .read_address(bias_address),
        .read_word(bias_word)
    );

    sram #(
        .WIDTH(tables::LANES * 5),
        .ADDRESS(tables::SHIFT)
    ) shift_memory (
        .clk(clk),
        .write(load && load_memory == tables::LOAD_SHIFT),
        .write_address(load_address[tables::SHIFT-1:0]),
        .write_word(load_word[tables::LANES*5-1:0]),
        .read_address(shift_address),
        .read_word(shift_word)
    );

    sram #(
        .WIDTH(tables::LANES * 8),
        .ADDRESS(tables::WEIGHT)
    ) weight_memory (
        .clk(clk),
        .write(load && load_memory == tables::LOAD_WEIGHT),
        .write_address(load_address[tables::WEIGHT-1:0]),
        .write_word(load_word[tables::LANES*8-1:0]),
        .read_address(weight_address),
        .read_word(weight_word)
    );

endmodule
