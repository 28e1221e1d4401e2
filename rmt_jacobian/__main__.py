"""``python -m rmt_jacobian``, the command line where its script is not on the path."""

from rmt_jacobian.cli import main

__all__: list[str] = []

if __name__ == "__main__":
    main()
