"""What integer spikes cost and bring, by experiment: many small trainings under one budget, and what they say together.

plan: which trainings; work: does them, resumable, in as many processes as there are cores; result: what one leaves;
report: tables with intervals, and plots.
"""
