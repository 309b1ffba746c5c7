"""The widgets that are alive: the Sculptor and the Explorer, each a state without a display and a plain front end."""
