"""Every router of the administration, in the order of its sections."""

from instructloop.web.pages.admin import agreement, exports, guides, models, overview, people, queues, review, screening, tasks

ROUTERS = (
    overview.router,
    agreement.router,
    queues.router,
    tasks.router,
    review.router,
    screening.router,
    guides.router,
    people.router,
    exports.router,
    models.router,
)
