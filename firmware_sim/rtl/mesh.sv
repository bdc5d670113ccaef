// The chip: a mesh of cores and routers. A smaller chip is a corner of it, for no flit goes where no core sends one.
module mesh #(
    parameter int WIDTH = 3,
    parameter int HEIGHT = 3,
    parameter int ROUTER_FIFO = 4,
    parameter int OUT_FIFO = 16,
    parameter int AXON_FIFO = 64,
    parameter int LINK_DELAY = 0
) (
    input logic clk,
    input logic rst,

    // The edge of the chip, west of router (0, 0): the host's link and the pops of its FIFO.
    input  logic        host_valid,
    input  flit::flit_t host_flit,
    output logic        host_credit,
    output logic        edge_valid,
    output flit::flit_t edge_flit,
    input  logic        edge_credit,

    input logic             load,
    input logic       [5:0] load_x,
    input logic       [5:0] load_y,
    input tables::memory_t  load_memory,
    input logic      [15:0] load_address,
    input logic     [511:0] load_word
);

    localparam int CORES = WIDTH * HEIGHT;
    localparam int PORTS = flit::PORTS;
    localparam int BITS = flit::WIDTH;

    // Of router k = y * WIDTH + x, port p: bit k * PORTS + p.
    logic [CORES*PORTS-1:0] sent, arriving, freed;
    /* verilator lint_off UNUSED */
    logic [CORES*PORTS*BITS-1:0] sent_flits;  // not those of outputs that lead off the mesh
    logic [CORES*PORTS-1:0] popped;           // nor the credits of such inputs
    /* verilator lint_on UNUSED */
    logic [CORES*PORTS*BITS-1:0] arriving_flits;

    assign host_credit = popped[flit::W];

    link #(
        .DELAY(LINK_DELAY)
    ) to_host (
        .clk(clk),
        .rst(rst),
        .in_valid(sent[flit::W]),
        .in_flit(sent_flits[flit::W*BITS+:BITS]),
        .out_valid(edge_valid),
        .out_flit(edge_flit)
    );

    for (genvar y = 0; y < HEIGHT; y++) begin : rows
        for (genvar x = 0; x < WIDTH; x++) begin : columns
            localparam int HERE = (y * WIDTH + x) * PORTS;
            logic from_core, core_credit;
            flit::flit_t core_flit;
            logic to_core;
            flit::flit_t to_core_flit;

            router #(
                .DEPTH(ROUTER_FIFO),
                .LOCAL_CREDITS(AXON_FIFO)
            ) crossing (
                .clk(clk),
                .rst(rst),
                .here_x(6'(x)),
                .here_y(6'(y)),
                .in_valid(arriving[HERE+:PORTS]),
                .in_flit(arriving_flits[HERE*BITS+:PORTS*BITS]),
                .in_credit(popped[HERE+:PORTS]),
                .out_valid(sent[HERE+:PORTS]),
                .out_flit(sent_flits[HERE*BITS+:PORTS*BITS]),
                .out_credit(freed[HERE+:PORTS])
            );

            core #(
                .ROUTER_FIFO(ROUTER_FIFO),
                .OUT_FIFO(OUT_FIFO),
                .AXON_FIFO(AXON_FIFO)
            ) place (
                .clk(clk),
                .rst(rst),
                .here_x(6'(x)),
                .here_y(6'(y)),
                .in_valid(to_core),
                .in_flit(to_core_flit),
                .in_credit(core_credit),
                .out_valid(from_core),
                .out_flit(core_flit),
                .out_credit(popped[HERE+flit::L]),
                .load(load && load_x == 6'(x) && load_y == 6'(y)),
                .load_memory(load_memory),
                .load_address(load_address),
                .load_word(load_word)
            );

            link #(
                .DELAY(LINK_DELAY)
            ) link_to_core (
                .clk(clk),
                .rst(rst),
                .in_valid(sent[HERE+flit::L]),
                .in_flit(sent_flits[(HERE+flit::L)*BITS+:BITS]),
                .out_valid(to_core),
                .out_flit(to_core_flit)
            );
            assign freed[HERE+flit::L] = core_credit;

            // What arrives at input p is what the neighbour in that direction sends the opposite way.
            for (genvar p = 0; p < PORTS; p++) begin : inputs
                localparam bit INSIDE = p == flit::N ? y > 0 : p == flit::E ? x < WIDTH - 1
                    : p == flit::S ? y < HEIGHT - 1 : x > 0;
                localparam int OPPOSITE = p == flit::N ? flit::S : p == flit::S ? flit::N
                    : p == flit::E ? flit::W : flit::E;
                localparam int THERE = HERE + PORTS * (p == flit::N ? -WIDTH : p == flit::E ? 1 : p == flit::S ? WIDTH : -1);
                logic valid;
                flit::flit_t sent_flit;

                if (p == flit::L) begin : own
                    assign valid = from_core;
                    assign sent_flit = core_flit;
                end else if (INSIDE) begin : neighbour
                    assign valid = sent[THERE+OPPOSITE];
                    assign sent_flit = sent_flits[(THERE+OPPOSITE)*BITS+:BITS];
                    assign freed[HERE+p] = popped[THERE+OPPOSITE];
                end else if (HERE == 0 && p == flit::W) begin : host
                    assign valid = host_valid;
                    assign sent_flit = host_flit;
                    assign freed[HERE+p] = edge_credit;
                end else begin : nothing
                    assign valid = 1'b0;
                    assign sent_flit = '0;
                    assign freed[HERE+p] = 1'b0;
                end

                link #(
                    .DELAY(LINK_DELAY)
                ) link_to_router (
                    .clk(clk),
                    .rst(rst),
                    .in_valid(valid),
                    .in_flit(sent_flit),
                    .out_valid(arriving[HERE+p]),
                    .out_flit(arriving_flits[(HERE+p)*BITS+:BITS])
                );
            end
        end
    end

endmodule
