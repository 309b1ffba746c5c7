"""The Sculptor as a page without code: `sculptlab app`."""
