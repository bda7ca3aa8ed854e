"""Windows over a screen in which something is asked, shown or corrected."""
