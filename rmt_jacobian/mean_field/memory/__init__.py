"""What a site remembers, where its memory is an affine map: moments in closed form."""
