// A core: axon FIFO, decode, synapse engine, potentials; programs of the tiles, fire unit, out FIFO.
module core #(
    parameter int ROUTER_FIFO = 4,
    parameter int OUT_FIFO = 16,
    parameter int AXON_FIFO = 64
) (
    input logic clk,
    input logic rst,

    /* verilator lint_off UNUSED */
    input logic [flit::COORDINATE-1:0] here_x,  // its place, for who watches
    input logic [flit::COORDINATE-1:0] here_y,
    /* verilator lint_on UNUSED */

    input  logic        in_valid,
    input  flit::flit_t in_flit,
    output logic        in_credit,

    output logic        out_valid,
    output flit::flit_t out_flit,
    input  logic        out_credit,

    input logic             load,
    input tables::memory_t  load_memory,
    /* verilator lint_off UNUSED */
    input logic      [15:0] load_address,
    /* verilator lint_on UNUSED */
    input logic     [511:0] load_word
);

    // The axon FIFO and the decode stage.
    logic axon_empty, axon_pop, arrived;
    /* verilator lint_off UNUSED */
    logic axon_full;  // the router holds a credit for what it sends
    /* verilator lint_on UNUSED */
    flit::flit_t axon_head;

    assign arrived   = !axon_empty;
    assign in_credit = axon_pop;

    fifo #(
        .WIDTH(flit::WIDTH),
        .DEPTH(AXON_FIFO)
    ) axon (
        .clk(clk),
        .rst(rst),
        .push(in_valid),
        .push_word(in_flit),
        .pop(axon_pop),
        .head(axon_head),
        .full(axon_full),
        .empty(axon_empty)
    );

    logic [tables::PORT-1:0] port;
    tables::port_t port_record;
    logic [tables::TILE-1:0] event_tile;
    tables::tile_t event_tile_record;
    logic ends, readies, engine_free, hand_over;
    logic [tables::NUMBER-1:0] ready_number;
    tables::work_t work;
    /* verilator lint_off UNUSED */
    logic held;  // who watches looks at these
    flit::flit_t event_flit;
    /* verilator lint_on UNUSED */

    decode stage (
        .clk(clk),
        .rst(rst),
        .arrived(arrived),
        .head(axon_head),
        .pop(axon_pop),
        .port(port),
        .port_record(port_record),
        .tile(event_tile),
        .tile_record(event_tile_record),
        .ends(ends),
        .readies(readies),
        .number(ready_number),
        .engine_free(engine_free),
        .hand_over(hand_over),
        .work(work),
        .held(held),
        .event_flit(event_flit)
    );

    // The synapse engine and the potentials, which it shares with the fire unit.
    logic issue, real_issue, storing;
    logic [tables::POTENTIAL-1:0] issue_address, read_address;
    logic [tables::WORD-1:0] read_word, new_word;
    logic [tables::WEIGHT-1:0] weight_address;
    logic [tables::LANES*8-1:0] weight_word;
    logic [tables::SHIFT-1:0] shift_address;
    logic [tables::LANES*5-1:0] shift_word;

    engine synapses (
        .clk(clk),
        .rst(rst),
        .free(engine_free),
        .hand_over(hand_over),
        .next_work(work),
        .next_value(event_flit.value),
        .weight_address(weight_address),
        .weight_word(weight_word),
        .shift_address(shift_address),
        .shift_word(shift_word),
        .issue(issue),
        .real_issue(real_issue),
        .address(issue_address),
        .old_word(read_word),
        .new_word(new_word)
    );

    /* verilator lint_off UNUSED */
    logic fire_read;  // who watches looks at it
    /* verilator lint_on UNUSED */
    logic fire_write;
    logic [tables::POTENTIAL-1:0] fire_address;

    assign read_address = issue ? issue_address : fire_address;

    potentials accumulators (
        .clk(clk),
        .rst(rst),
        .read_address(read_address),
        .read_word(read_word),
        .store(real_issue),
        .store_address(issue_address),
        .store_word(new_word),
        .storing(storing),
        .clear(fire_write),
        .clear_address(fire_address),
        .load(load && load_memory == tables::LOAD_POTENTIAL),
        .load_address(load_address[tables::POTENTIAL-1:0]),
        .load_word(load_word)
    );

    // Programs and the fire unit.
    logic [tables::TILE:0] tiles;
    logic [tables::TILES*tables::STEP-1:0] step_address;
    logic [tables::TILES*tables::STEP_WIDTH-1:0] step_words;
    logic startable, step_over, end_sent, ready_pending, ready_sent;
    logic [tables::TILE-1:0] chosen, fire_tile;
    tables::step_t fire_step;
    tables::tile_t fire_tile_record;
    logic [tables::STEP-1:0] fire_step_address;
    logic [2:0] end_place;
    logic [tables::PRODUCER-1:0] producer_address;
    tables::producer_t producer;

    always_ff @(posedge clk) if (load && load_memory == tables::LOAD_TILES) tiles <= load_word[tables::TILE:0];

    sequencer programs (
        .clk(clk),
        .rst(rst),
        .tiles(tiles),
        .step_address(step_address),
        .step_words(step_words),
        .ends(ends),
        .end_tile(event_tile),
        .readies(readies),
        .ready_number(ready_number),
        .startable(startable),
        .chosen(chosen),
        .fire_tile(fire_tile),
        .fire_step(fire_step),
        .fire_address(fire_step_address),
        .end_sent(end_sent),
        .end_place(end_place),
        .step_over(step_over),
        .pending(ready_pending),
        .producer_address(producer_address),
        .ready_sent(ready_sent)
    );

    logic [tables::CONSTANT-1:0] ladder_address, bias_address;
    logic [tables::LADDER*tables::WORD-1:0] ladder_words;
    logic [tables::WORD-1:0] bias_word;
    logic [tables::DESTINATIONS*tables::DESTINATION_WIDTH-1:0] destination_words;
    logic fire_holds, fire_enters;
    flit::flit_t fire_flit;
    /* verilator lint_off UNUSED */
    logic [tables::WORD-1:0] results;  // who watches looks at them
    /* verilator lint_on UNUSED */

    fire firing (
        .clk(clk),
        .rst(rst),
        .startable(startable),
        .chosen(chosen),
        .tile(fire_tile),
        .step_record(fire_step),
        .tile_record(fire_tile_record),
        .step_over(step_over),
        .end_sent(end_sent),
        .end_place(end_place),
        .ladder_address(ladder_address),
        .ladder_words(ladder_words),
        .bias_address(bias_address),
        .bias_word(bias_word),
        .destination_words(destination_words),
        .engine_issues(issue),
        .engine_writes(storing),
        .read(fire_read),
        .write(fire_write),
        .address(fire_address),
        .potential_word(read_word),
        .results(results),
        .holds(fire_holds),
        .held_flit(fire_flit),
        .enters(fire_enters)
    );

    // The out FIFO, and the credits for the router's input L.
    localparam int COUNT = $clog2(ROUTER_FIFO + 1);
    logic out_full, out_empty, out_enters, out_leaves;
    flit::flit_t ready_flit, out_entering, out_head;
    logic [COUNT-1:0] credits;

    assign ready_sent = ready_pending && !out_full;
    assign fire_enters = fire_holds && !out_full && !ready_pending;
    assign out_enters = ready_sent || fire_enters;
    assign out_entering = ready_pending ? ready_flit : fire_flit;
    assign out_leaves = !out_empty && credits != '0;

    always_comb begin
        ready_flit = '0;
        ready_flit.kind = flit::READY;
        ready_flit.x = producer.x;
        ready_flit.y = producer.y;
        ready_flit.port = producer.port;
        ready_flit.channel = producer.number;
    end

    fifo #(
        .WIDTH(flit::WIDTH),
        .DEPTH(OUT_FIFO)
    ) out (
        .clk(clk),
        .rst(rst),
        .push(out_enters),
        .push_word(out_entering),
        .pop(out_leaves),
        .head(out_head),
        .full(out_full),
        .empty(out_empty)
    );

    always_ff @(posedge clk) begin
        if (rst) begin
            credits <= COUNT'(ROUTER_FIFO);
            out_valid <= 1'b0;
        end else begin
            credits <= credits - COUNT'(out_leaves) + COUNT'(out_credit);
            out_valid <= out_leaves;
        end
        if (out_leaves) out_flit <= out_head;
    end

    // The tables. A name here is a name in tables::memory_t.
    storage memories (
        .clk(clk),
        .load(load),
        .load_memory(load_memory),
        .load_address(load_address),
        .load_word(load_word),
        .event_tile(event_tile),
        .event_tile_record(event_tile_record),
        .fire_tile(fire_tile),
        .fire_tile_record(fire_tile_record),
        .port(port),
        .port_record(port_record),
        .step_address(step_address),
        .step_words(step_words),
        .fire_step(fire_step_address),
        .destination_words(destination_words),
        .producer_address(producer_address),
        .producer(producer),
        .ladder_address(ladder_address),
        .ladder_words(ladder_words),
        .bias_address(bias_address),
        .bias_word(bias_word),
        .weight_address(weight_address),
        .weight_word(weight_word),
        .shift_address(shift_address),
        .shift_word(shift_word)
    );

endmodule
