// The decode stage: holds one flit of the axon FIFO, counts tokens, and turns an event into the engine's work.
//
// A token leaves in its first cycle, whatever the engine does, so that an axon FIFO waits for the engine alone.
module decode (
    input logic clk,
    input logic rst,

    input  logic        arrived,  // the axon FIFO has a head
    input  flit::flit_t head,
    output logic        pop,

    output logic [tables::PORT-1:0] port,
    /* verilator lint_off UNUSED */
    input  tables::port_t           port_record,  // its step is for who watches
    /* verilator lint_on UNUSED */
    output logic [tables::TILE-1:0] tile,
    input  tables::tile_t           tile_record,

    output logic ends,     // an END for `tile` leaves
    output logic readies,  // a READY for destination `number` leaves
    output logic [tables::NUMBER-1:0] number,

    input  logic          engine_free,
    output logic          hand_over,
    output tables::work_t work,

    output logic        held,  // the stage holds `event_flit`
    output flit::flit_t event_flit
);

    logic token, leaves;

    assign token = event_flit.kind == flit::END || event_flit.kind == flit::READY;
    assign ends = held && event_flit.kind == flit::END;
    assign readies = held && event_flit.kind == flit::READY;
    assign hand_over = held && !token && engine_free;
    assign leaves = (held && token) || hand_over;
    assign pop = arrived && (!held || leaves);

    assign port = event_flit.port[tables::PORT-1:0];
    assign tile = port_record.tile;
    assign number = event_flit.channel[tables::NUMBER-1:0];

    always_ff @(posedge clk) begin
        if (rst) held <= 1'b0;
        else held <= pop || (held && !leaves);
        if (pop) event_flit <= head;
    end

    // The targets in y and x. A load has a kernel of 1 and no padding.
    logic none_y, none_x;
    logic [10:0] place_y, place_x;
    logic [7:0] tap_y, tap_x;

    axis axis_y (
        .site(event_flit.sy),
        .padding(port_record.top),
        .kernel(port_record.kernel_y),
        .is_double(port_record.double_y),
        .low(tile_record.y),
        .size(tile_record.rows),
        .none(none_y),
        .more(work.rows),
        .place(place_y),
        .tap(tap_y)
    );

    axis axis_x (
        .site(event_flit.sx),
        .padding(port_record.left),
        .kernel(port_record.kernel_x),
        .is_double(port_record.double_x),
        .low(tile_record.x),
        .size(tile_record.columns),
        .none(none_x),
        .more(work.columns),
        .place(place_x),
        .tap(tap_x)
    );

    // The targets in channels: those of the event's group, or the event's own channel.
    logic one_channel;
    /* verilator lint_off UNUSED */
    logic [42:0] quotient;
    logic [29:0] offset;
    logic [29:0] group_low, group_high;
    logic [29:0] low, high;
    /* verilator lint_on UNUSED */
    logic [14:0] group;
    logic [tables::WEIGHT-1:0] place_in_group;

    always_comb begin
        one_channel = port_record.load || tile_record.maximum;
        quotient = 43'(event_flit.channel) * 43'(port_record.reciprocal);
        group = quotient[42:28];
        offset = 30'(group) * 30'(port_record.inputs);
        place_in_group = event_flit.channel[tables::WEIGHT-1:0] - offset[tables::WEIGHT-1:0];
        group_low = 30'(port_record.channel) + 30'(group) * 30'(port_record.outputs);
        if (one_channel) group_low = 30'(event_flit.channel);
        group_high = one_channel ? group_low : group_low + 30'(port_record.outputs) - 30'd1;
        low = group_low > 30'(tile_record.channel) ? group_low - 30'(tile_record.channel) : '0;
        high = group_high - 30'(tile_record.channel);
        if (high > 30'(tile_record.channels) - 30'd1) high = 30'(tile_record.channels) - 30'd1;
        work.none = none_y || none_x || group_high < 30'(tile_record.channel) || low > high;
        work.low = low[13:0];
        work.high = high[13:0];
    end

    always_comb begin
        work.load = port_record.load;
        work.maximum = tile_record.maximum && !port_record.load;
        work.bitwise = port_record.bitwise;
        work.row_words = tile_record.row_words;
        work.words = tile_record.words;
        work.potential = tile_record.base + tables::POTENTIAL'(place_y) * tile_record.row_words
            + tables::POTENTIAL'(place_x) * tables::POTENTIAL'(tile_record.words);
        work.weight = port_record.weight + place_in_group * port_record.input_weights
            + tables::WEIGHT'(tap_y) * port_record.row_weights
            + tables::WEIGHT'(tap_x) * tables::WEIGHT'(tile_record.words);
        work.weight_row = port_record.row_weights << port_record.double_y;
        work.weight_side = tables::WEIGHT'(tile_record.words) << port_record.double_x;
        work.shift = port_record.shift;
    end

endmodule
