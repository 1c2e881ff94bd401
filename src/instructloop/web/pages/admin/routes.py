"""Every router of the administration, in the order of its sections."""

from instructloop.web.pages.admin import agreement, guides, models, overview, people, queues, review

ROUTERS = (overview.router, agreement.router, queues.router, review.router, guides.router, people.router, models.router)
