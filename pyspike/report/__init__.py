"""What a run amounts to: activity, work and energy of a network on given inputs."""
